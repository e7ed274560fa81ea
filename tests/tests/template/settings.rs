//! Every variable of a function's environment is a setting that it reads, and every setting can be set.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::{
    env::{Env, Reader},
    settings::CreateSettings,
};
use serde_json::{Value, json};

use crate::{FUNCTIONS, read, sources, template, text};

/// Lambda sets and reserves these names.
const BY_LAMBDA: [&str; 5] =
    ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_LOG_LEVEL"];
/// These are for local use: in an account, the secret holds the first two, and the functions use AWS's own endpoints.
const LOCAL: [&str; 3] = ["RECALL_API_KEY", "RECALL_WEBHOOK_SECRETS", "AWS_ENDPOINT_URL"];

/// Returns a function's variables, as the template has them.
pub(crate) fn variables(template: &Value, resource: &str) -> BTreeMap<String, Value> {
    let global = &template["Globals"]["Function"]["Environment"]["Variables"];
    let own = &template["Resources"][resource]["Properties"]["Environment"]["Variables"];
    let both = [global, own].into_iter().flat_map(|variables| variables.as_object().expect("variables"));
    both.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[test]
fn settings_that_are_set_are_read_and_the_reverse() {
    let (template, shared) = (template(), sources::of("shared/pipeline/src"));
    for (name, resource) in FUNCTIONS {
        let own = sources::of(&format!("functions/{name}/src"));
        let read: BTreeSet<String> = sources::settings(&shared).union(&sources::settings(&own)).cloned().collect();
        let elsewhere = BY_LAMBDA.iter().chain(&LOCAL).map(|name| (*name).to_owned()).collect();
        let read: BTreeSet<String> = read.difference(&elsewhere).cloned().collect();
        let mut set: BTreeSet<String> = variables(&template, resource).into_keys().collect();
        // All functions record what has to be announced, so that setting is set for all, wherever it is read.
        assert!(set.contains("EVENT_BUS"));
        set.insert("EVENT_BUS".to_owned());
        assert_eq!(set, read, "{name}");
    }
}

#[test]
fn settings_are_read_in_ways_that_this_test_sees() {
    for folder in ["shared/pipeline/src", "functions/webhook/src", "functions/transcript/src", "functions/sweep/src"] {
        let text = sources::of(folder);
        let known = sources::settings(&text);
        let unseen: BTreeSet<String> = sources::names_like_settings(&text).difference(&known).cloned().collect();
        // The endpoint of an AWS service, and what cargo sets during a build.
        let others = ["SECRETS_MANAGER".to_owned(), "CARGO_PKG_VERSION".to_owned()].into();
        assert_eq!(unseen.difference(&others).collect::<Vec<_>>(), Vec::<&String>::new(), "{folder}");
    }
}

/// A function's own name for a value, if it differs from that of the parameter or resource.
const RENAMED: [(&str, &str); 3] =
    [("EVENT_BUS", "EventBusName"), ("WORK_QUEUE_URL", "WorkQueue"), ("DEAD_LETTER_QUEUE_URL", "DeadLetterQueue")];
/// Values with several parts. Each has a test of its own.
const COMPUTED: [&str; 2] = ["RECALL_SECRET_ID", "METRICS_NAMESPACE"];

/// A function would also start if two settings of one kind were exchanged.
#[test]
fn every_variable_has_the_value_of_the_parameter_or_resource_of_its_name() {
    let template = template();
    for (name, value) in FUNCTIONS.iter().flat_map(|(_, resource)| variables(&template, resource)) {
        if COMPUTED.contains(&name.as_str()) {
            continue;
        }
        let renamed = RENAMED.iter().find(|(variable, _)| *variable == name);
        let expected = renamed.map_or_else(|| camel(&name), |(_, other)| (*other).to_owned());
        assert_eq!(value, json!({"Ref": expected}), "{name}");
        let exists = ["Parameters", "Resources"].iter().any(|part| template[*part].get(&expected).is_some());
        assert!(exists, "{name}: there is no {expected}");
    }
}

/// Converts `KEY_PREFIX` to `KeyPrefix`.
fn camel(name: &str) -> String {
    name.split('_').map(|word| format!("{}{}", &word[..1], word[1..].to_lowercase())).collect()
}

/// The rows of the table in docs/settings.md whose header begins with this cell: names, parameter, and default.
fn documented(header: &str) -> Vec<Vec<String>> {
    let document = read("docs/settings.md");
    let begin = document.find(&format!("\n| {header} |")).unwrap_or_else(|| panic!("no table of each {header}"));
    let rows = document[begin + 1..].lines().take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What is between backticks in a cell.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// A parameter's default, as a document has it.
fn default_cell(parameter: &Value) -> String {
    match &parameter["Default"] {
        Value::Null => "required".to_owned(),
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

#[test]
fn settings_are_all_documented_with_the_parameter_and_its_default() {
    let template = template();
    let parameters = template["Parameters"].as_object().expect("parameters");
    let folders = ["shared/pipeline/src", "functions/webhook/src", "functions/transcript/src", "functions/sweep/src"];
    let known: BTreeSet<String> = folders.iter().flat_map(|folder| sources::settings(&sources::of(folder))).collect();
    let set: BTreeMap<String, Value> =
        FUNCTIONS.iter().flat_map(|(_, resource)| variables(&template, resource)).collect();
    let (mut names, mut of_settings) = (BTreeSet::new(), BTreeSet::new());
    for row in documented("Setting") {
        let parameter = quoted(&row[1]);
        for name in quoted(&row[0]) {
            let of_template = set.get(&name).map(|value| value.to_string()).unwrap_or_default();
            let of_parameter = found_parameter(&of_template, parameters.keys());
            assert_eq!(parameter.first(), of_parameter.as_ref(), "the parameter of {name}");
            if let Some(parameter) = &of_parameter {
                assert_eq!(row[2], default_cell(&parameters[parameter]), "the default of {name}");
            }
            of_settings.extend(of_parameter);
            assert!(names.insert(name.clone()), "{name} occurs twice");
        }
    }
    assert_eq!(names, known);
    let mut alone = BTreeSet::new();
    for row in documented("Parameter") {
        let name = quoted(&row[0]).remove(0);
        assert_eq!(row[1], default_cell(&parameters[&name]), "the default of {name}");
        alone.insert(name);
    }
    let expected: BTreeSet<String> = parameters.keys().filter(|name| !of_settings.contains(*name)).cloned().collect();
    assert_eq!(alone, expected);
    assert!(alone.len() > 5 && of_settings.len() > 10, "{alone:?} {of_settings:?}");
}

/// The parameter that a value refers to.
fn found_parameter<'a>(value: &str, mut parameters: impl Iterator<Item = &'a String>) -> Option<String> {
    parameters.find(|name| value.contains(&format!("{{\"Ref\":\"{name}\"}}"))).cloned()
}

/// The values of a template whose parameters have these values.
fn environment(template: &Value, resource: &str, parameters: &BTreeMap<String, String>) -> Env {
    let text_of = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Object(call) => match call.get("Ref").and_then(Value::as_str) {
            Some(name) => parameters.get(name).cloned().unwrap_or_else(|| format!("the-{name}")),
            None => "something".to_owned(),
        },
        other => panic!("{other} in an environment"),
    };
    let of_lambda = [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "key")];
    let of_lambda = of_lambda.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let set = variables(template, resource).into_iter().map(|(name, value)| {
        let value = if name.ends_with("_URL") && value.get("Ref").is_some_and(|of| of != "RecallBaseUrl") {
            "https://sqs.eu-central-1.amazonaws.com/1/x".to_owned()
        } else if name == "METRICS_NAMESPACE" {
            text(&value["Fn::Sub"]).replace("${AWS::StackName}", "my-stack-1")
        } else {
            text_of(&value)
        };
        (name, value)
    });
    set.chain(of_lambda).collect()
}

/// Returns the defaults of all parameters, and a region, which the operator must choose.
fn defaults(template: &Value) -> BTreeMap<String, String> {
    let parameters = template["Parameters"].as_object().expect("parameters");
    let mut defaults: BTreeMap<String, String> = parameters
        .iter()
        .filter_map(|(name, parameter)| {
            let default = parameter.get("Default")?;
            Some((name.clone(), default.as_str().map_or_else(|| default.to_string(), str::to_owned)))
        })
        .collect();
    defaults.insert("RecallRegion".to_owned(), "eu-central-1".to_owned());
    defaults
}

/// Returns how each function reacts to its environment.
fn starts(template: &Value, parameters: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, resource) in FUNCTIONS {
        let env = environment(template, resource, parameters);
        let result = match name {
            "webhook" => webhook::Settings::read(&env).map(drop),
            "transcript" => transcript::Settings::read(&env).map(drop),
            _ => sweep::Settings::read(&env).map(drop),
        };
        result.map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

#[test]
fn every_function_starts_with_every_value_that_a_parameter_may_have() {
    let template = template();
    let defaults = defaults(&template);
    assert_eq!(starts(&template, &defaults), Ok(()));
    for (name, parameter) in template["Parameters"].as_object().expect("parameters") {
        let allowed = parameter["AllowedValues"].as_array().cloned().unwrap_or_default();
        let bounds = [&parameter["MinValue"], &parameter["MaxValue"]].into_iter().filter(|bound| !bound.is_null());
        for value in allowed.iter().chain(bounds) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let mut chosen = defaults.clone();
            chosen.insert(name.clone(), value.clone());
            assert_eq!(starts(&template, &chosen), Ok(()), "{name}={value}");
        }
    }
    // Values that a pattern allows, if the pattern allows more than a list.
    for (name, value) in [
        ("RecallBaseUrl", "https://proxy.example.com/recall"),
        ("DownloadHosts", "a.example.com, b.example.com"),
        ("TranscriptProviders", r#"[{"rev_async": {"language": "en"}}, {"recallai_async": {}}]"#),
        ("Deployment", "staging_1-a"),
        ("KeyPrefix", "team=x/!_.()=-/"),
        ("Renditions", "html,jsonl"),
        ("Renditions", "meetings,knowledge"),
        ("MeetingFiles", "none"),
        ("MeetingFiles", "timeline,events"),
        ("MetadataKeys", "customer,team.name,cost-center:id/a=b+c@d_e"),
        ("SweepWindowHours", "0"),
        ("SweepWindowHours", "744"),
        ("ExpiryAlarmHours", "1"),
        ("ExpiryAlarmHours", "744"),
        ("EventBusName", ""),
    ] {
        let pattern = text(&template["Parameters"][name]["AllowedPattern"]);
        let pattern = regex_lite::Regex::new(&format!("^(?:{pattern})$")).expect("a pattern");
        assert!(pattern.is_match(value), "{name}={value}");
        let mut chosen = defaults.clone();
        chosen.insert(name.to_owned(), value.to_owned());
        assert_eq!(starts(&template, &chosen), Ok(()), "{name}={value}");
    }
}

/// Someone who runs the functions without the template gets the same behavior.
#[test]
fn defaults_of_the_code_are_those_of_the_template() {
    let template = template();
    let read = |env: &Env| {
        let mut reader = Reader::new(env);
        format!("{:?}", CreateSettings::read(&mut reader))
    };
    let set = environment(&template, "Transcript", &defaults(&template));
    let bus = Env::from_pairs([("EVENT_BUS", "default")]);
    assert_eq!(read(&set), read(&bus));
}

#[test]
fn renditions_are_those_of_the_code() {
    let parameter = &template()["Parameters"]["Renditions"];
    let names = renditions::Rendition::ALL.map(renditions::Rendition::name);
    let default = renditions::Rendition::ALL.into_iter().filter(|rendition| rendition.is_default());
    assert_eq!(parameter["Default"], default.map(renditions::Rendition::name).collect::<Vec<_>>().join(","));
    let one = names.join("|");
    assert_eq!(parameter["AllowedPattern"], format!("^({one})(,({one}))*$"));
    let constraint = text(&parameter["ConstraintDescription"]);
    assert!(names.iter().all(|name| constraint.contains(name)), "{constraint}");
}

/// Each parameter with a list or a range of values is checked by a function as well, if it gets there.
#[test]
fn a_function_does_not_start_with_a_word_that_a_parameter_does_not_list() {
    let template = template();
    let passed: BTreeSet<String> = FUNCTIONS
        .iter()
        .flat_map(|(_, resource)| variables(&template, resource).into_values())
        .filter_map(|value| Some(value.get("Ref")?.as_str()?.to_owned()))
        .collect();
    for (name, parameter) in template["Parameters"].as_object().expect("parameters") {
        let is_limited = ["AllowedValues", "MinValue"].iter().any(|limit| parameter.get(*limit).is_some());
        if is_limited && passed.contains(name) {
            let mut chosen = defaults(&template);
            chosen.insert(name.clone(), "no-such-value".to_owned());
            assert!(starts(&template, &chosen).is_err(), "{name}=no-such-value");
        }
    }
}

/// This test would prove nothing if a function accepted everything.
#[test]
fn a_function_does_not_start_with_what_a_parameter_may_not_be() {
    let template = template();
    for (name, value) in [
        ("RecallRegion", "us-west-1"),
        ("TriesPerProvider", "11"),
        ("OnLimit", "delete"),
        ("SweepWindowHours", "27"),
        ("Renditions", "pdf"),
        ("MeetingFiles", "none,events"),
        ("MetadataKeys", "aws:customer"),
        ("MetadataKeys", "customer,customer"),
        ("KeyPrefix", "a"),
        ("JobsTable", ""),
    ] {
        let mut chosen = defaults(&template);
        chosen.insert(name.to_owned(), value.to_owned());
        assert!(starts(&template, &chosen).is_err(), "{name}={value}");
    }
}

#[test]
fn the_secret_is_named_by_what_the_stack_made_or_the_operator_gave() {
    let secret = &template()["Globals"]["Function"]["Environment"]["Variables"]["RECALL_SECRET_ID"].clone();
    let made = json!({"Fn::GetAtt": ["RecallSecret", "Id"]});
    assert_eq!(*secret, json!({"Fn::If": ["MakesSecret", made, {"Ref": "RecallSecretArn"}]}));
}
