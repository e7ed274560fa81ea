//! Limits of AWS that a long parameter or name would exceed, at the first deployment that has one.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::{Map, Value, json};

use crate::{FUNCTIONS, settings::variables, template, text};

/// The number of characters that CloudFormation accepts for a stack's name.
const STACK_NAME: usize = 128;
/// The limit for a function's environment as JSON. Lambda counts it this way when it refuses one ("String measured").
const ENVIRONMENT_BYTES: usize = 4096;

/// The longest value of each parameter that is free text and reaches a function.
fn longest() -> BTreeMap<&'static str, String> {
    let line_ends = "\n".repeat(8);
    // As many two-byte characters as the pattern allows.
    let providers = format!("[{line_ends}{{{}{}}}{line_ends}]", "\"".repeat(240), "x".repeat(1152 - 260));
    let secret = format!("arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:{}-AbCdEf", "s".repeat(191));
    [
        ("RecallSecretArn", secret),
        ("RecallBaseUrl", format!("https://{}", "h".repeat(120))),
        ("DownloadHosts", format!("a,{}", "h".repeat(190))),
        ("TranscriptProviders", providers),
        ("Deployment", "d".repeat(64)),
        ("KeyPrefix", format!("{}/", "k".repeat(199))),
        ("Renditions", "jsonl,meetings,txt,md,vtt,srt,html,knowledge".to_owned()),
        ("MeetingFiles", "participants,events,timeline".to_owned()),
        ("MetadataKeys", format!("{},{}", "m".repeat(128), "m".repeat(71))),
        ("EventBusName", "b".repeat(256)),
        ("SweepWindowHours", "744".to_owned()),
        ("ExpiryAlarmHours", "744".to_owned()),
    ]
    .into()
}

fn pattern(parameter: &Value) -> Regex {
    Regex::new(&format!("^(?:{})$", text(&parameter["AllowedPattern"]))).expect("a pattern")
}

#[test]
fn the_longest_values_are_allowed_and_no_longer_ones() {
    let template = template();
    for (name, value) in longest() {
        let parameter = &template["Parameters"][name];
        assert!(pattern(parameter).is_match(&value), "{name}={value}");
        if let Some(most) = parameter["MaxLength"].as_u64() {
            assert_eq!(u64::try_from(value.len()), Ok(most), "{name}");
        } else {
            let longer = ["0", "5", "x"].map(|more| format!("{value}{more}"));
            assert!(!longer.iter().any(|value| pattern(parameter).is_match(value)), "{name} has no MaxLength");
        }
    }
}

/// A character may have four bytes, and JSON escapes take two or more.
#[test]
fn parameter_characters_take_no_more_room_than_is_counted() {
    let template = template();
    for (name, value) in longest() {
        let pattern = pattern(&template["Parameters"][name]);
        for at in [0, value.len() / 2, value.len() - 1] {
            for odd in ["\"", "\\", "\n", "é"] {
                let mut changed = value.clone();
                changed.replace_range(at..=at, odd);
                assert!(!pattern.is_match(&changed), "{name} accepts {odd:?} at {at}");
            }
        }
    }
}

/// A name that CloudFormation generates is at most as long as the service allows.
fn named_by_the_stack(resource: &str) -> String {
    match resource {
        "JobsTable" => "t".repeat(255),
        "WorkQueue" | "DeadLetterQueue" => {
            format!("https://sqs.ap-northeast-1.amazonaws.com/123456789012/{}", "q".repeat(80))
        }
        "TranscriptsBucket" => "b".repeat(63),
        other => panic!("the test does not know the longest name of {other}"),
    }
}

#[test]
fn all_parameters_at_their_longest_fit_a_functions_environment() {
    let template = template();
    let longest = longest();
    let of_parameter = |name: &str| {
        let choices = template["Parameters"][name]["AllowedValues"].as_array().into_iter().flatten();
        let choice = choices.map(text).max_by_key(|choice| choice.len()).map(str::to_owned);
        choice
            .or_else(|| longest.get(name).cloned())
            .unwrap_or_else(|| panic!("the test does not know the longest value of {name}"))
    };
    for (function, resource) in FUNCTIONS {
        let mut environment = Map::new();
        for (name, value) in variables(&template, resource) {
            let value = match name.as_str() {
                "RECALL_SECRET_ID" => of_parameter("RecallSecretArn"),
                "METRICS_NAMESPACE" => text(&value["Fn::Sub"]).replace("${AWS::StackName}", &"s".repeat(STACK_NAME)),
                _ => match text(&value["Ref"]) {
                    parameter if template["Parameters"].get(parameter).is_some() => of_parameter(parameter),
                    resource => named_by_the_stack(resource),
                },
            };
            environment.insert(name, json!(value));
        }
        let bytes = Value::Object(environment).to_string().len();
        assert!(bytes <= ENVIRONMENT_BYTES, "the environment of {function} has {bytes} bytes");
    }
}

/// What is named after the stack, and the limit of its service.
#[test]
fn the_longest_stack_name_is_not_too_long_for_anything() {
    let template = template();
    let limits = [
        ("AlarmName", 255),
        ("DashboardName", 255),
        ("LogGroupName", 512),
        ("Namespace", 255),
        ("METRICS_NAMESPACE", 255),
        ("DisplayName", 100),
    ];
    let mut found = Vec::new();
    named(&template["Globals"], &mut found);
    named(&template["Resources"], &mut found);
    for (name, limit) in limits {
        let lengths: Vec<usize> = found.iter().filter(|(of, _)| of == name).map(|(_, text)| text.len()).collect();
        assert!(!lengths.is_empty(), "no resource has the property {name}");
        assert!(lengths.iter().all(|length| *length <= limit), "{name}: {lengths:?}");
    }
    // Other texts with the stack's name: the ARNs of its alarms, and the namespace in the dashboard.
    let others = ["aws:SourceArn", "Own"];
    for (name, text) in found.iter().filter(|(_, text)| text.contains(&"s".repeat(STACK_NAME))) {
        let known = limits.iter().any(|(of, _)| of == name) || others.contains(&name.as_str());
        assert!(known, "the test does not know the limit of {name}, {text}");
    }
}

/// Returns every text by the name of its property, with the longest names for stack and region.
fn named(value: &Value, found: &mut Vec<(String, String)>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let stack = (value["Ref"] == "AWS::StackName").then_some("${AWS::StackName}");
        match value.as_str().or_else(|| value["Fn::Sub"].as_str()).or(stack) {
            Some(text) => {
                let text = text.replace("${AWS::StackName}", &"s".repeat(STACK_NAME));
                found.push((name.clone(), text.replace("${AWS::Region}", "ap-northeast-1")));
            }
            None => named(value, found),
        }
    }
    value.as_array().into_iter().flatten().for_each(|item| named(item, found));
}

/// PutEvents reports no error for a bus that does not exist, but creating a rule on it does.
#[test]
fn a_deployment_fails_where_the_bus_does_not_exist() {
    let template = template();
    let rule = &template["Resources"]["BusExists"];
    assert_eq!(rule["Type"], "AWS::Events::Rule");
    assert_eq!(rule["Condition"], "Announces");
    assert_eq!(rule["Properties"]["EventBusName"], json!({"Ref": "EventBusName"}));
    assert_eq!(rule["Properties"]["State"], "DISABLED");
    assert!(rule["Properties"].get("Targets").is_none(), "the rule must not have a target");
}
