//! Each function may do what its code does, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::{FUNCTIONS, resources, sources, template, text};

/// The permission that an operation of the SDK needs, according to AWS's service authorization reference.
const ACTIONS: [(&str, &str); 19] = [
    ("dynamodb.get_item", "dynamodb:GetItem"),
    ("dynamodb.put_item", "dynamodb:PutItem"),
    ("dynamodb.batch_get_item", "dynamodb:BatchGetItem"),
    ("dynamodb.query", "dynamodb:Query"),
    ("sqs.send_message", "sqs:SendMessage"),
    ("sqs.send_message_batch", "sqs:SendMessage"),
    ("sqs.get_queue_attributes", "sqs:GetQueueAttributes"),
    ("sqs.change_message_visibility", "sqs:ChangeMessageVisibility"),
    ("events.put_events", "events:PutEvents"),
    ("secretsmanager.get_secret_value", "secretsmanager:GetSecretValue"),
    ("s3.put_object", "s3:PutObject"),
    ("s3.create_multipart_upload", "s3:PutObject"),
    ("s3.upload_part", "s3:PutObject"),
    ("s3.complete_multipart_upload", "s3:PutObject"),
    ("s3.abort_multipart_upload", "s3:AbortMultipartUpload"),
    ("s3.list_multipart_uploads", "s3:ListBucketMultipartUploads"),
    ("s3.delete_object", "s3:DeleteObject"),
    ("s3.head_object", "s3:GetObject"),
    ("s3.get_object", "s3:GetObject"),
];

/// Permissions that AWS uses on a function's behalf: for its logs and traces, and for the key that encrypts the secret.
const OF_EACH: [&str; 5] =
    ["logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords", "kms:Decrypt"];
/// The queue's event source receives messages on the function's behalf, S3 encrypts, S3 reports a missing object only
/// to those who may list, and a write with tags needs a permission of its own.
const OF_TRANSCRIPT: [&str; 6] = [
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "kms:GenerateDataKey",
    "s3:ListBucket",
    "s3:PutObjectTagging",
];

const SHARED_POLICY: &str = "FunctionBasics";

#[derive(Debug)]
struct Permission {
    action: String,
    resources: Vec<String>,
    /// The condition of the stack under which the permission is granted.
    given_if: Option<String>,
    conditions: Vec<String>,
}

/// Returns the statements of the policy that all roles share, and those of the function's own role.
fn permissions(template: &Value, resource: &str) -> Vec<Permission> {
    let role = &template["Resources"][format!("{resource}Role")]["Properties"];
    let [own] = role["Policies"].as_array().expect("policies").as_slice() else {
        panic!("{resource} does not have exactly one policy")
    };
    // AWS defines what its own managed policies allow.
    assert_eq!(role["ManagedPolicyArns"], json!([{"Ref": SHARED_POLICY}]), "{resource}");
    let shared = &template["Resources"][SHARED_POLICY]["Properties"];
    let statements = [shared, own].map(|policy| policy["PolicyDocument"]["Statement"].as_array().expect("statements"));
    let mut permissions = Vec::new();
    for statement in statements.into_iter().flatten() {
        let (statement, given_if) = match statement["Fn::If"].as_array().map(Vec::as_slice) {
            Some([condition, statement, _]) => (statement, Some(text(condition).to_owned())),
            Some(other) => panic!("{other:?}"),
            None => (statement, None),
        };
        assert_eq!(statement["Effect"], "Allow");
        for action in list(&statement["Action"]) {
            permissions.push(Permission {
                action: text(action).to_owned(),
                resources: list(&statement["Resource"]).into_iter().map(short).collect(),
                given_if: given_if.clone(),
                conditions: conditions(&statement["Condition"]),
            });
        }
    }
    permissions
}

fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

fn conditions(value: &Value) -> Vec<String> {
    let tests = value.as_object().into_iter().flatten();
    tests
        .flat_map(|(test, keys)| keys.as_object().into_iter().flatten().map(move |key| (test, key)))
        .map(|(test, (key, value))| {
            let values: Vec<String> = list(value).into_iter().map(short).collect();
            format!("{key} {test} {}", values.join(", "))
        })
        .collect()
}

/// Writes a resource as `template.yaml` does.
pub(crate) fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(call) => match call.iter().next() {
            Some((name, of)) if name == "Ref" => text(of).to_owned(),
            Some((name, of)) if name == "Fn::Sub" => text(of).to_owned(),
            Some((name, of)) if name == "Fn::GetAtt" => format!("{}.{}", text(&of[0]), text(&of[1])),
            Some((name, of)) if name == "Fn::If" => format!("{} or {}", short(&of[1]), short(&of[2])),
            _ => panic!("{value}"),
        },
        _ => panic!("{value}"),
    }
}

fn action(call: &str) -> &'static str {
    let known = ACTIONS.iter().find(|(name, _)| *name == call);
    known.unwrap_or_else(|| panic!("the code calls {call}: which permission does that need?")).1
}

#[test]
fn each_role_allows_what_its_function_calls_and_no_more() {
    let template = template();
    for (name, resource) in FUNCTIONS {
        let mut expected: BTreeSet<&str> = sources::sdk_calls(name).iter().map(|call| action(call)).collect();
        expected.extend(OF_EACH);
        if name == "transcript" {
            expected.extend(OF_TRANSCRIPT);
        }
        let permissions = permissions(&template, resource);
        let allowed: BTreeSet<&str> = permissions.iter().map(|permission| permission.action.as_str()).collect();
        assert_eq!(allowed, expected, "{name}");
    }
}

/// The test reads text, so a call in an unexpected form could look as if it were not made.
#[test]
fn every_sdk_call_belongs_to_a_function() {
    let of_functions: BTreeSet<String> = FUNCTIONS.iter().flat_map(|(name, _)| sources::sdk_calls(name)).collect();
    assert_eq!(of_functions, sources::all_sdk_calls());
    assert_eq!(of_functions.len(), ACTIONS.len(), "the list has a call that no function makes");
}

#[test]
fn permissions_are_no_wider_than_needed() {
    let template = template();
    for (_, resource) in FUNCTIONS {
        for permission in permissions(&template, resource) {
            let Permission { action, resources, given_if, conditions } = &permission;
            assert!(!action.contains('*'), "{permission:?}");
            let service = action.split(':').next().unwrap_or_default();
            assert_eq!(resources.iter().any(|of| of == "*"), service == "xray", "{permission:?}");
            match service {
                "xray" => assert_eq!(given_if.as_deref(), Some("Traces")),
                "events" => assert_eq!(given_if.as_deref(), Some("Announces")),
                "kms" => {
                    assert_eq!((given_if.as_deref(), conditions.len()), (Some("HasKey"), 2), "{permission:?}");
                }
                "dynamodb" => {
                    assert!(conditions[0].starts_with("dynamodb:LeadingKeys ForAllValues:String"), "{permission:?}");
                }
                _ if action == "s3:PutObjectTagging" => assert_eq!(given_if.as_deref(), Some("TagsObjects")),
                _ => assert_eq!(*given_if, None, "{permission:?}"),
            }
        }
    }
}

/// Only objects that would be found twice, or that break their readers, are ever deleted.
#[test]
fn objects_are_deleted_only_where_readers_need_it() {
    let permissions = permissions(&template(), "Transcript");
    let deletions = permissions.iter().filter(|permission| permission.action.starts_with("s3:Delete"));
    let deleted: BTreeSet<String> = deletions.flat_map(|permission| permission.resources.clone()).collect();
    let below = |path: &str| format!("${{TranscriptsBucket.Arn}}/${{KeyPrefix}}{path}");
    let expected = ["recordings/*/transcript.srt", "turns/*", "meetings/*", "knowledge/*"].map(below);
    assert_eq!(deleted, expected.into());
}

/// Without the permission to tag, S3 refuses the whole write.
#[test]
fn every_object_that_is_written_may_be_tagged() {
    let permissions = permissions(&template(), "Transcript");
    let on = |action: &str| {
        let of = permissions.iter().filter(|permission| permission.action == action);
        of.flat_map(|permission| permission.resources.clone()).collect::<BTreeSet<String>>()
    };
    assert_eq!(on("s3:PutObject"), on("s3:PutObjectTagging"));
}

#[test]
fn shared_policy_is_attached_by_the_roles_alone() {
    let template = template();
    let policies: Vec<_> = resources(&template, "AWS::IAM::ManagedPolicy").collect();
    let [(SHARED_POLICY, policy)] = policies.as_slice() else { panic!("{policies:?}") };
    assert!(["Roles", "Users", "Groups"].iter().all(|attached_to| policy.get(attached_to).is_none()), "{policy}");
    assert_eq!(resources(&template, "AWS::IAM::Role").count(), FUNCTIONS.len());
}

/// A shard without this permission would never be woken.
#[test]
fn every_shard_of_the_indexes_may_be_asked() {
    let permissions = permissions(&template(), "Sweep");
    let query = permissions.iter().find(|of| of.action == "dynamodb:Query").expect("the sweep queries");
    let shards: Vec<String> = (0..pipeline::store::DUE_SHARDS).map(|shard| shard.to_string()).collect();
    assert_eq!(query.conditions, [format!("dynamodb:LeadingKeys ForAllValues:StringEquals {}", shards.join(", "))]);
}

/// The snapshot of all permissions, to review when it changes. `UPDATE_EXPECT=1` writes it again.
#[test]
fn roles_match_their_snapshot() {
    let template = template();
    let mut lines = String::new();
    for (name, resource) in FUNCTIONS {
        let mut by_action: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Permission { action, resources, given_if, conditions } in permissions(&template, resource) {
            let given_if = given_if.map(|condition| format!(", if {condition}")).unwrap_or_default();
            let conditions: String = conditions.iter().map(|condition| format!(", where {condition}")).collect();
            let lines = resources.iter().map(|of| format!("  {action} on {of}{given_if}{conditions}\n"));
            by_action.entry(action.clone()).or_default().extend(lines);
        }
        lines.push_str(&format!("{name}\n"));
        by_action.into_values().flatten().for_each(|line| lines.push_str(&line));
    }
    expect_file!["roles.txt"].assert_eq(&lines);
}
