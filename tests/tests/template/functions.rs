//! The functions: names, runtime, logs, tracing, and callers.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{FUNCTIONS, read, resources, root, sources, template, text};

#[test]
fn each_function_is_the_package_of_its_name_and_none_is_left_out() {
    let template = template();
    let named: BTreeSet<&str> = resources(&template, "AWS::Serverless::Function").map(|(name, _)| name).collect();
    assert_eq!(named, FUNCTIONS.map(|(_, resource)| resource).into());
    let folders = std::fs::read_dir(root().join("functions")).expect("functions");
    let folders: BTreeSet<String> =
        folders.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(folders, FUNCTIONS.map(|(name, _)| name.to_owned()).into());
    for (name, resource) in FUNCTIONS {
        let manifest = read(&format!("functions/{name}/Cargo.toml"));
        assert!(
            manifest.contains(&format!("[package]\nname = \"{name}\"\n")),
            "functions/{name} has another package name"
        );
        assert!(!manifest.contains("[[bin]]"), "the binary of {name} must have the name of its package");
        // The folder in which cargo lambda leaves the binary. `sam build` runs the Makefile in the folder of the
        // template.
        let function = &template["Resources"][resource];
        assert_eq!(function["Properties"]["CodeUri"], format!("target/lambda/{name}/"));
        let built = json!({"BuildMethod": "makefile", "ProjectRootDirectory": ".", "ContextPath": "."});
        assert_eq!(function["Metadata"], built);
        assert!(read("Makefile").contains(&format!("\nbuild-{resource}: binary = {name}\n")), "{resource}");
    }
}

#[test]
fn each_function_logs_json_to_its_own_group_with_the_chosen_retention() {
    let template = template();
    for (name, resource) in FUNCTIONS {
        let function = &template["Resources"][resource]["Properties"];
        let logging = &function["LoggingConfig"];
        assert_eq!(logging["LogFormat"], "JSON");
        assert_eq!(logging["ApplicationLogLevel"], json!({"Ref": "LogLevel"}));
        assert_eq!(
            logging["SystemLogLevel"], "WARN",
            "with INFO, two lines about each invocation make logs a third more expensive"
        );
        let group = &template["Resources"][text(&logging["LogGroup"]["Ref"])]["Properties"];
        assert_eq!(group["LogGroupName"], json!({"Fn::Sub": format!("/aws/lambda/${{AWS::StackName}}/{name}")}));
        assert_eq!(group["RetentionInDays"], json!({"Ref": "LogRetentionDays"}));
        assert_eq!(function["Role"], json!({"Fn::GetAtt": [format!("{resource}Role"), "Arn"]}));
    }
}

#[test]
fn all_functions_are_what_cargo_lambda_builds() {
    let template = template();
    let globals = &template["Globals"]["Function"];
    assert_eq!(globals["Runtime"], "provided.al2023");
    assert_eq!(globals["Architectures"], json!(["arm64"]));
    assert_eq!(globals["Handler"], "bootstrap");
    assert_eq!(globals["Tracing"], json!({"Fn::If": ["Traces", "Active", "PassThrough"]}));
    for (_, resource) in FUNCTIONS {
        let function = template["Resources"][resource]["Properties"].as_object().expect("properties");
        for global in ["Runtime", "Architectures", "Handler", "Tracing"] {
            assert!(!function.contains_key(global), "{resource} has a {global} of its own");
        }
    }
}

/// Lambda's own retries would duplicate those of the queue and the sweep.
#[test]
fn callers_retry_by_themselves() {
    let template = template();
    let transcript = &template["Resources"]["Transcript"]["Properties"];
    assert_eq!(transcript["Events"]["Work"]["Properties"]["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]));
    assert_eq!(template["Resources"]["Sweep"]["Properties"]["EventInvokeConfig"]["MaximumRetryAttempts"], 0);
    let url = &template["Resources"]["Webhook"]["Properties"]["FunctionUrlConfig"];
    assert_eq!(*url, json!({"AuthType": "NONE", "InvokeMode": "BUFFERED"}));
}

/// Lambda follows a chain of requests from function to queue to function, and stops it after about 16 rounds. Only the
/// transcript function is called by the queue that it sends to. The others send to that queue as well, but are called
/// by something else.
#[test]
fn the_function_called_by_its_own_queue_allows_recursion() {
    let template = template();
    for (name, resource) in FUNCTIONS {
        let function = &template["Resources"][resource]["Properties"];
        let calls = sources::sdk_calls(name);
        assert!(
            calls.iter().any(|call| call.starts_with("sqs.send_message")),
            "{name} does not send to a queue: {calls:?}"
        );
        let events = function["Events"].as_object().into_iter().flatten();
        let called_by_queue = events.into_iter().any(|(_, event)| event["Type"] == "SQS");
        let allowed = function.get("RecursiveLoop").map(text);
        assert_eq!(allowed, called_by_queue.then_some("Allow"), "{name}");
    }
    assert!(read("docs/operating.md").contains("`RecursiveLoop`"), "the runbook does not explain RecursiveLoop");
}
