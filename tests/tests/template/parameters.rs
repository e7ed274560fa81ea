//! Every parameter is explained, has a default and a bound, is used, and is in a group of the console.

use std::collections::BTreeSet;

use regex_lite::Regex;
use serde_json::Value;

use crate::{template, text};

/// The parameters that the operator must choose, because any guess would be wrong.
const REQUIRED: [&str; 1] = ["RecallRegion"];

fn parameters(template: &Value) -> impl Iterator<Item = (&str, &Value)> {
    template["Parameters"].as_object().expect("parameters").iter().map(|(name, of)| (name.as_str(), of))
}

#[test]
fn every_parameter_is_explained_defaulted_and_bounded() {
    let template = template();
    for (name, parameter) in parameters(&template) {
        let description = text(&parameter["Description"]);
        assert!(description.ends_with('.') && description.len() > 20, "{name}: {description}");
        assert_eq!(parameter.get("Default").is_none(), REQUIRED.contains(&name), "{name}");
        let has = |bound: &str| parameter.get(bound).is_some();
        assert!(has("AllowedValues") || has("AllowedPattern") || has("MinValue"), "{name} has no limit");
        assert_eq!(
            has("AllowedPattern"),
            has("ConstraintDescription"),
            "{name} needs an explanation if and only if it has a pattern"
        );
        assert_eq!(
            has("MinValue") || has("MaxValue"),
            parameter["Type"] == "Number" && !has("AllowedValues"),
            "{name}"
        );
    }
}

#[test]
fn every_default_is_one_that_may_be_chosen() {
    let template = template();
    for (name, parameter) in parameters(&template) {
        let Some(default) = parameter.get("Default") else { continue };
        if let Some(allowed) = parameter["AllowedValues"].as_array() {
            assert!(allowed.contains(default), "{name}");
        }
        if let Some(pattern) = parameter["AllowedPattern"].as_str() {
            let pattern = Regex::new(&format!("^(?:{pattern})$")).expect("a pattern");
            assert!(pattern.is_match(text(default)), "{name}");
        }
        let number = default.as_i64().unwrap_or_default();
        assert!(parameter["MinValue"].as_i64().is_none_or(|least| least <= number), "{name}");
        assert!(parameter["MaxValue"].as_i64().is_none_or(|most| number <= most), "{name}");
    }
}

#[test]
fn every_parameter_is_used_and_in_one_group() {
    let template = template();
    let all: BTreeSet<&str> = parameters(&template).map(|(name, _)| name).collect();
    let body: String =
        ["Globals", "Resources", "Conditions", "Outputs"].map(|part| template[part].to_string()).join("");
    for name in &all {
        let used = body.contains(&format!("{{\"Ref\":\"{name}\"}}")) || body.contains(&format!("${{{name}}}"));
        assert!(used, "{name} changes nothing");
    }
    let groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"].as_array().expect("groups");
    let grouped: Vec<&str> =
        groups.iter().flat_map(|group| group["Parameters"].as_array().expect("names")).map(text).collect();
    assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), all);
    assert_eq!(grouped.len(), all.len(), "one parameter is in two groups");
}

/// A Number of CloudFormation may be 2.5, but a function accepts only whole numbers.
#[test]
fn counts_are_whole_numbers_within_their_bounds() {
    let template = template();
    let sweep = |hours: u32| hours == 0 || (28..=744).contains(&hours);
    let bounds: [(&str, &dyn Fn(u32) -> bool); 4] = [
        ("WebhookConcurrency", &|all| all <= 1000),
        ("TranscriptConcurrency", &|all| (2..=1000).contains(&all)),
        ("ExpiryAlarmHours", &|hours| (1..=744).contains(&hours)),
        ("SweepWindowHours", &sweep),
    ];
    for (name, bound) in bounds {
        let pattern = Regex::new(text(&template["Parameters"][name]["AllowedPattern"])).expect("a pattern");
        for number in 0..=10_000 {
            assert_eq!(pattern.is_match(&number.to_string()), bound(number), "{name}={number}");
        }
        for other in ["", "00", "05", "0100", "2.5", "100.0", "-5", "+5", " 50", "50 ", "5e1", "0x5"] {
            assert!(!pattern.is_match(other), "{name}={other}");
        }
    }
}

/// A condition of a rule may only use parameters, and must refuse something that can be chosen.
#[test]
fn every_rule_refuses_something_and_not_the_defaults() {
    let template = template();
    let value = |name: &str| {
        let default = &template["Parameters"][name]["Default"];
        default.as_str().map_or_else(|| default.to_string(), str::to_owned)
    };
    for (name, rule) in template["Rules"].as_object().expect("rules") {
        let applies = holds(&rule["RuleCondition"], &value);
        for assertion in rule["Assertions"].as_array().expect("assertions") {
            assert!(!applies || holds(&assertion["Assert"], &value), "{name} refuses the defaults");
            assert!(text(&assertion["AssertDescription"]).ends_with('.'), "{name}");
        }
    }
    let chosen = |name: &str, of: &[(&str, &str)]| {
        let value = |parameter: &str| {
            let of = of.iter().find(|(name, _)| *name == parameter);
            of.map_or_else(|| value(parameter), |(_, value)| (*value).to_owned())
        };
        let rule = &template["Rules"][name];
        !holds(&rule["RuleCondition"], &value) || holds(&rule["Assertions"][0]["Assert"], &value)
    };
    for (rule, refused, fine) in [
        (
            "NothingUncopiedIsDeleted",
            [("DeleteAfterStore", "recording"), ("CopyUnrequested", "false")],
            [("DeleteAfterStore", "transcript"), ("CopyUnrequested", "false")],
        ),
        (
            "ChatNeedsBus",
            [("ChatTopicArn", "arn:aws:sns:eu-central-1:111122223333:meetings"), ("EventBusName", "")],
            [("ChatTopicArn", ""), ("EventBusName", "")],
        ),
        (
            "RoomForEveryTry",
            [("MaxTranscriptsPerRecording", "1"), ("OnLimit", "stop")],
            [("MaxTranscriptsPerRecording", "1"), ("TriesPerProvider", "1")],
        ),
        (
            "OneTopic",
            [("AlarmEmail", "a@example.com"), ("AlarmTopicArn", "arn:aws:sns:eu-central-1:111122223333:alarms")],
            [("AlarmEmail", "a@example.com"), ("AlarmTopicArn", "")],
        ),
    ] {
        assert!(!chosen(rule, &refused), "{rule} accepts {refused:?}");
        assert!(chosen(rule, &fine), "{rule} refuses {fine:?}");
    }
}

/// The rule for this compares no numbers, but lists them.
#[test]
fn tries_fit_into_the_limit_with_stop() {
    let template = template();
    let rule = &template["Rules"]["RoomForEveryTry"];
    for (on_limit, most, tries) in ["stop", "delete_failed", "delete_stored"]
        .into_iter()
        .flat_map(|on_limit| (1..=10).flat_map(move |most| (1..=10).map(move |tries| (on_limit, most, tries))))
    {
        let value = |name: &str| match name {
            "OnLimit" => on_limit.to_owned(),
            "MaxTranscriptsPerRecording" => most.to_string(),
            "TriesPerProvider" => tries.to_string(),
            other => panic!("the test does not support {other} in RoomForEveryTry"),
        };
        let allowed = !holds(&rule["RuleCondition"], &value) || holds(&rule["Assertions"][0]["Assert"], &value);
        assert_eq!(allowed, on_limit != "stop" || tries <= most, "{on_limit}, {most}, {tries}");
    }
}

fn holds(condition: &Value, value: &dyn Fn(&str) -> String) -> bool {
    let (name, operands) = condition.as_object().and_then(|call| call.iter().next()).expect("a function");
    let operands = operands.as_array().expect("operands");
    match name.as_str() {
        "Fn::Equals" => {
            let [parameter, expected] = operands.as_slice() else { panic!("{condition}") };
            value(text(&parameter["Ref"])) == text(expected)
        }
        "Fn::Not" => !holds(&operands[0], value),
        "Fn::And" => operands.iter().all(|operand| holds(operand, value)),
        "Fn::Or" => operands.iter().any(|operand| holds(operand, value)),
        "Fn::Contains" => {
            let [all, parameter] = operands.as_slice() else { panic!("{condition}") };
            let value = value(text(&parameter["Ref"]));
            all.as_array().expect("a list").iter().any(|one| text(one) == value)
        }
        other => panic!("the test does not support {other} in a rule"),
    }
}
