//! Snapshots of what is deployed, to review when they change. `UPDATE_EXPECT=1` writes them again.
//!
//! A wrong number or an inverted condition is as valid as the right one, so no value may change without a review.

use expect_test::expect_file;
use serde_json::Value;

use crate::{resources, roles::short, template, text};

/// These are checked elsewhere: alarms below, the dashboard by metric, the tables beside the documented statements, and
/// the permissions that the functions share in roles.txt.
const ELSEWHERE: [&str; 4] =
    ["AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Glue::", "AWS::IAM::ManagedPolicy"];
/// Policies are in roles.txt, variables are compared by name, and descriptions are for readers.
const LEFT_OUT: [&str; 3] = ["Policies", "Environment", "Description"];

#[test]
fn alarms_match_their_snapshot() {
    let template = template();
    let mut lines = String::new();
    for (who, alarm) in resources(&template, "AWS::CloudWatch::Alarm") {
        lines.push_str(&format!("{who}\n"));
        for part in alarm["Metrics"].as_array().into_iter().flatten() {
            let (id, stat) = (text(&part["Id"]), &part["MetricStat"]);
            let what = match part.get("Expression") {
                Some(expression) => text(expression).to_owned(),
                None => looked_at(&stat["Metric"], &stat["Stat"], &stat["Period"]),
            };
            let compared = part.get("ReturnData").is_none_or(|data| data.as_bool().expect("true or false"));
            lines.push_str(&format!("  {id} = {what}{}\n", if compared { ", compared" } else { "" }));
        }
        if alarm.get("MetricName").is_some() {
            let statistic = alarm.get("Statistic").unwrap_or(&alarm["ExtendedStatistic"]);
            lines.push_str(&format!("  {}\n", looked_at(alarm, statistic, &alarm["Period"])));
        }
        let periods = &alarm["EvaluationPeriods"];
        lines.push_str(&format!(
            "  {} {} in {} of {periods}{}, no data: {}\n",
            text(&alarm["ComparisonOperator"]),
            scalar(&alarm["Threshold"]),
            alarm.get("DatapointsToAlarm").unwrap_or(periods),
            if alarm.get("EvaluationWindow").is_some() { " by the clock" } else { "" },
            text(&alarm["TreatMissingData"]),
        ));
    }
    expect_file!["alarms.txt"].assert_eq(&lines);
}

/// Formats a metric with its dimensions, its statistic, and its period in seconds.
fn looked_at(metric: &Value, statistic: &Value, period: &Value) -> String {
    let dimensions = metric["Dimensions"].as_array().into_iter().flatten();
    let dimensions: String = dimensions.map(|of| format!(" {}={}", text(&of["Name"]), scalar(&of["Value"]))).collect();
    let (namespace, name) = (scalar(&metric["Namespace"]), text(&metric["MetricName"]));
    format!("{} of {namespace} {name}{dimensions} in {period} s", text(statistic))
}

#[test]
fn resources_match_their_snapshot() {
    let template = template();
    let mut lines = "Conditions\n".to_owned();
    for (name, condition) in template["Conditions"].as_object().expect("conditions") {
        lines.push_str(&format!("  {name}: {}\n", said(condition)));
    }
    for (name, resource) in template["Resources"].as_object().expect("resources") {
        let kind = text(&resource["Type"]);
        let condition = resource.get("Condition").map(|of| format!(", if {}", text(of))).unwrap_or_default();
        // By default, the stack deletes its resources.
        let kept = |of: &str| resource.get(of).map(text).filter(|policy| *policy != "Delete");
        let kept = [("deleted", kept("DeletionPolicy")), ("replaced", kept("UpdateReplacePolicy"))];
        let kept = kept.into_iter().filter_map(|(when, policy)| Some(format!(", when {when} {}", policy?)));
        lines.push_str(&format!("\n{name}: {kind}{condition}{}\n", kept.collect::<String>()));
        if !ELSEWHERE.iter().any(|of| kind.starts_with(of)) {
            let mut properties = resource["Properties"].clone();
            properties.as_object_mut().expect("properties").retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
            flat(&mut lines, "", &properties);
        }
    }
    lines.push_str("\nOutputs\n");
    for (name, output) in template["Outputs"].as_object().expect("outputs") {
        flat(&mut lines, name, &output["Value"]);
    }
    expect_file!["resources.txt"].assert_eq(&lines);
}

fn said(condition: &Value) -> String {
    let (call, operands) = condition.as_object().and_then(|call| call.iter().next()).expect("a function");
    match (call.as_str(), operands.as_array().expect("operands").as_slice()) {
        ("Fn::Equals", [left, right]) => format!("{} = {}", scalar(left), scalar(right)),
        ("Fn::Not", [operand]) => format!("not {}", said(operand)),
        _ => panic!("{condition}"),
    }
}

/// Writes one line for each value, with the path to it.
fn flat(lines: &mut String, path: &str, value: &Value) {
    let join = |step: &str| if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
    match value {
        Value::Object(call) if call.len() == 1 && is_scalar_call(value) => {
            lines.push_str(&format!("  {path}: {}\n", scalar(value)));
        }
        Value::Object(fields) => match fields.get("Fn::If").and_then(Value::as_array).map(Vec::as_slice) {
            Some([condition, then, otherwise]) => {
                flat(lines, &join(&format!("if {}", text(condition))), then);
                flat(lines, &join(&format!("if not {}", text(condition))), otherwise);
            }
            _ => fields.iter().for_each(|(name, field)| flat(lines, &join(name), field)),
        },
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(number, item)| flat(lines, &join(&number.to_string()), item));
        }
        _ => lines.push_str(&format!("  {path}: {}\n", scalar(value))),
    }
}

fn is_scalar_call(value: &Value) -> bool {
    ["Ref", "Fn::Sub", "Fn::GetAtt"].iter().any(|call| value.get(call).is_some())
}

/// Writes a value as the template does. Text that looks like another type is in quotes.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() || text.parse::<f64>().is_ok() || text == "true" || text == "false" => {
            format!("\"{text}\"")
        }
        Value::String(text) => text.clone(),
        Value::Object(call) if call.contains_key("Ref") => format!("!Ref {}", short(value)),
        Value::Object(call) if call.contains_key("Fn::GetAtt") => format!("!GetAtt {}", short(value)),
        Value::Object(_) => short(value),
        other => other.to_string(),
    }
}
