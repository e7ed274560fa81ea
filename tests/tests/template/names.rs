//! Names that the code and the template share: indexes and their keys, object prefixes, and the tables.

use std::collections::BTreeSet;

use regex_lite::Regex;
use serde_json::json;

use crate::{read, sources, template, text};

fn found(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).expect("a pattern");
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn the_indexes_match_the_queries_and_the_written_keys() {
    let template = template();
    let table = &template["Resources"]["JobsTable"]["Properties"];
    let indexes = table["GlobalSecondaryIndexes"].as_array().expect("indexes");
    let store = sources::of("shared/pipeline/src") + &sources::of("shared/job/src");
    let named: BTreeSet<String> = indexes.iter().map(|index| text(&index["IndexName"]).to_owned()).collect();
    assert_eq!(named, found(r#"\.index_name\("(\w+)"\)"#, &store));
    let mut keys: BTreeSet<&str> = BTreeSet::new();
    for index in indexes {
        let schema = index["KeySchema"].as_array().expect("keys");
        let [hash, range] = schema.as_slice() else { panic!("{index}") };
        assert_eq!((text(&hash["KeyType"]), text(&range["KeyType"])), ("HASH", "RANGE"));
        let (hash, range) = (text(&hash["AttributeName"]), text(&range["AttributeName"]));
        // The query has this partition, and the items have both keys: a field of the job, or one that is written by
        // hand.
        assert!(store.contains(&format!("(\"{hash} = :shard")), "no query by {hash}");
        assert!(store.contains(&format!("item.insert(\"{hash}\"")), "no item has {hash}");
        let written = store.contains(&format!("item.insert(\"{range}\"")) || store.contains(&format!("pub {range}:"));
        assert!(written, "no item has {range}");
        keys.extend([hash, range]);
    }
    keys.insert("recording_id");
    assert_eq!(table["KeySchema"], json!([{"AttributeName": "recording_id", "KeyType": "HASH"}]));
    let attributes = table["AttributeDefinitions"].as_array().expect("attributes");
    let attributes: BTreeSet<&str> = attributes.iter().map(|of| text(&of["AttributeName"])).collect();
    assert_eq!(attributes, keys);
}

#[test]
fn the_output_version_is_that_of_the_code() {
    assert_eq!(text(&template()["Outputs"]["Version"]["Value"]), env!("CARGO_PKG_VERSION"));
}

/// Every test runs against the local table.
#[test]
fn the_local_table_is_the_templates() {
    let template = template();
    let table = &template["Resources"]["JobsTable"]["Properties"];
    let code = read("local/src/dynamodb.rs");
    let begin = code.find("serde_json::from_value(json!({").expect("the table") + "serde_json::from_value(json!(".len();
    let end = begin + code[begin..].find("}))?;").expect("its end") + 1;
    // JSON allows neither Rust's trailing commas nor its names.
    let commas = Regex::new(r",(\s*[}\]])").expect("a pattern");
    let body = commas.replace_all(&code[begin..end], "$1").replace("\"TableName\": name,", "");
    let local: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    for part in ["BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"] {
        assert_eq!(local[part], table[part], "{part}");
    }
}

#[test]
fn objects_are_written_where_the_role_may_write() {
    let template = template();
    let role = template["Resources"]["TranscriptRole"]["Properties"]["Policies"][0].to_string();
    let written = sources::of("shared/pipeline/src");
    let mut prefixes = found(r#""\{prefix\}([a-z]+)/"#, &written);
    prefixes.extend(found(r#"const \w+: &str = "([a-z]+)/";"#, &written));
    let allowed = found(r"\$\{TranscriptsBucket\.Arn\}/\$\{KeyPrefix\}([a-z]+)/\*", &role);
    assert_eq!(prefixes, allowed);
    for (resource, table) in [("TurnsTable", "turns"), ("MeetingsTable", "meetings")] {
        let input = &template["Resources"][resource]["Properties"]["TableInput"];
        let folder = format!("s3://${{TranscriptsBucket}}/${{KeyPrefix}}{table}/");
        let of_day = format!("{folder}date=${{!date}}/");
        assert_eq!(input["Name"], table);
        assert_eq!(input["StorageDescriptor"]["Location"], json!({"Fn::Sub": folder}));
        assert_eq!(input["Parameters"]["storage.location.template"], json!({"Fn::Sub": of_day}));
    }
}
