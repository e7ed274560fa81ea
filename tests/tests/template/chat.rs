//! Chat notifications: what the rules make of an announcement is valid JSON of the schema that Amazon Q Developer in
//! chat applications reads, whatever the announcement contains.
//!
//! [`transformed`] does what EventBridge documents: it inserts a text between quotes as it is, without escapes, and any
//! other value as JSON. What it does with null is not documented, so [`Null`] lists what it could do.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use serde_json::{Value, json};

use crate::{resources, template, text};

/// What EventBridge could insert for null, or for a field that is missing.
#[derive(Clone, Copy, Debug)]
enum Null {
    Word,
    Nothing,
    Placeholder,
}

const NULLS: [Null; 3] = [Null::Word, Null::Nothing, Null::Placeholder];
/// The limits of the schema, in characters.
const MAX_TITLE: usize = 250;
const MAX_DESCRIPTION: usize = 8000;

/// Returns the input transformers by the detail type of their rules.
fn transformers(template: &Value) -> BTreeMap<&str, &Value> {
    let rules = resources(template, "AWS::Events::Rule").filter(|(name, _)| name.starts_with("Chat"));
    let transformers: BTreeMap<_, _> = rules
        .map(|(name, rule)| {
            assert_eq!(template["Resources"][name]["Condition"], "NotifiesChat", "{name}");
            assert_eq!(rule["EventBusName"], json!({"Ref": "EventBusName"}), "{name}");
            assert_eq!(rule["EventPattern"]["source"], json!(["recall-transcripts"]), "{name}");
            let [target] = rule["Targets"].as_array().expect("targets").as_slice() else { panic!("{name}") };
            assert_eq!(target["Arn"], json!({"Ref": "ChatTopicArn"}), "{name}");
            // For SNS, AWS advises against a role. The topic's policy decides.
            assert!(target.get("RoleArn").is_none(), "{name}");
            (text(&rule["EventPattern"]["detail-type"][0]), &target["InputTransformer"])
        })
        .collect();
    assert_eq!(transformers.keys().copied().collect::<Vec<_>>(), ["Transcript Failed", "Transcript Stored"]);
    transformers
}

/// Returns what the target of a rule gets.
fn transformed(transformer: &Value, event: &Value, null: Null) -> String {
    let placeholder = Regex::new("<([a-z-]+)>").expect("a pattern");
    let template = text(&transformer["InputTemplate"]);
    let (mut output, mut end) = (String::new(), 0);
    for found in placeholder.captures_iter(template) {
        let whole = found.get(0).expect("a match");
        let before = &template[end..whole.start()];
        output.push_str(before);
        end = whole.end();
        // The templates have no escaped quotes.
        let in_quotes = template[..whole.start()].matches('"').count() % 2 == 1;
        let path = text(&transformer["InputPathsMap"][&found[1]]);
        let value = path.strip_prefix("$.").expect("a path").split('.').fold(event, |value, name| &value[name]);
        match (value, null) {
            (Value::String(text), _) if in_quotes => output.push_str(text),
            (Value::Null, Null::Word) => output.push_str("null"),
            (Value::Null, Null::Nothing) => {}
            (Value::Null, Null::Placeholder) => output.push_str(whole.as_str()),
            (value, _) => output.push_str(&value.to_string()),
        }
    }
    output + &template[end..]
}

/// An announcement with odd texts and null wherever a field may have them. The function makes `headline` and `summary`
/// safe; the tests of `functions/transcript/src/chat.rs` show how.
fn event(detail_type: &str) -> Value {
    let odd = "a \"quote\", a \\ and \r\n a <tag> & <!channel> @here";
    let is_stored = detail_type == "Transcript Stored";
    json!({
        "version": "0",
        "id": "7bf73129-1428-4cd3-a780-95db273d1602",
        "source": "recall-transcripts",
        "detail-type": detail_type,
        "detail": {
            "id": "21c65f77-acf4-45c4-9560-f5b04d079461:stored",
            "recording_id": "21c65f77-acf4-45c4-9560-f5b04d079461",
            "transcript_id": null,
            "bot_id": null,
            "status": if is_stored { "stored" } else { "failed" },
            "provider": odd,
            "attempt": null,
            "sub_code": odd,
            "manifest_key": is_stored.then_some("team/a_b/recordings/21c65f77/b054bbbe/manifest.json"),
            "bucket": "bucket-1",
            "counts": null,
            "title": odd,
            "headline": "Transcript stored: a 'quote', a / and a (tag) + (!channel) ＠here",
            "summary": format!("1200 words by 1 speaker in 2 min. {}", "é…".repeat(480)),
            "expires_at": null,
        }
    })
}

fn check(message: &str, detail: &Value) {
    let message: Value = serde_json::from_str(message).unwrap_or_else(|error| panic!("{error}: {message}"));
    assert_eq!((&message["version"], &message["source"]), (&json!("1.0"), &json!("custom")));
    assert_eq!(message["id"], detail["id"]);
    let content = &message["content"];
    assert_eq!(content["textType"], "client-markdown");
    assert_eq!((&content["title"], &content["description"]), (&detail["headline"], &detail["summary"]));
    assert!(text(&content["title"]).chars().count() <= MAX_TITLE);
    assert!(text(&content["description"]).chars().count() <= MAX_DESCRIPTION);
    for list in ["nextSteps", "keywords"] {
        let items = content[list].as_array().expect("a list");
        assert!(!items.is_empty() && items.iter().all(|item| !text(item).is_empty()), "{list}");
    }
    let known = ["version", "source", "id", "content", "textType", "title", "description", "nextSteps", "keywords"];
    let fields = message.as_object().into_iter().chain(content.as_object()).flatten();
    assert!(fields.into_iter().all(|(name, _)| known.contains(&name.as_str())), "{message}");
}

#[test]
fn messages_have_the_schema_whatever_is_announced() {
    let template = template();
    for (detail_type, transformer) in transformers(&template) {
        let event = event(detail_type);
        for null in NULLS {
            check(&transformed(transformer, &event, null), &event["detail"]);
        }
    }
}

#[test]
fn messages_say_where_to_look() {
    let template = template();
    let transformers = transformers(&template);
    let step = |detail_type| {
        let message = transformed(transformers[detail_type], &event(detail_type), Null::Word);
        let message: Value = serde_json::from_str(&message).expect("JSON");
        text(&message["content"]["nextSteps"][0]).to_owned()
    };
    let manifest = "`s3://bucket-1/team/a_b/recordings/21c65f77/b054bbbe/manifest.json`";
    assert_eq!(step("Transcript Stored"), format!("Read the files that the manifest lists: {manifest}"));
    assert!(step("Transcript Failed").ends_with("about jobs-failed: `21c65f77-acf4-45c4-9560-f5b04d079461`"));
}

/// These fields are never null, and contain nothing that would have to be escaped in JSON.
#[test]
fn only_safe_fields_are_inserted() {
    let template = template();
    let always = ["id", "headline", "summary", "recording_id"];
    for (detail_type, transformer) in transformers(&template) {
        let mut safe: BTreeSet<String> = always.iter().map(|name| format!("$.detail.{name}")).collect();
        if detail_type == "Transcript Stored" {
            safe.extend(["$.detail.bucket", "$.detail.manifest_key"].map(str::to_owned));
        }
        let paths = transformer["InputPathsMap"].as_object().expect("paths");
        let inserted: BTreeSet<String> = paths.values().map(|path| text(path).to_owned()).collect();
        assert_eq!(inserted, safe, "{detail_type}");
        let placeholder = Regex::new("<([^<>]*)>").expect("a pattern");
        let used: BTreeSet<&str> = placeholder
            .captures_iter(text(&transformer["InputTemplate"]))
            .map(|found| found.get(1).expect("a group").as_str())
            .collect();
        assert_eq!(used, paths.keys().map(String::as_str).collect(), "{detail_type}");
    }
}

/// This is why the function makes the texts safe: the rule cannot.
#[test]
fn an_unsafe_text_would_break_the_message() {
    let template = template();
    for (detail_type, transformer) in transformers(&template) {
        for odd in ["a \"quote\"", "a \\ b", "two\nlines"] {
            let mut event = event(detail_type);
            event["detail"]["headline"] = json!(odd);
            let message = transformed(transformer, &event, Null::Word);
            assert!(serde_json::from_str::<Value>(&message).is_err(), "{message}");
        }
    }
}
