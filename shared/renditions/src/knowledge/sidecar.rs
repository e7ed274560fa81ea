//! Writes what filters of a knowledge base can ask for, in the format of Amazon Bedrock.

use serde_json::{Map, Value, json};

use crate::{MeetingInfo, MeetingRecord, Summary, meeting_line::duration_s};

/// The maximum size of the attributes as JSON. S3 Vectors rejects more than 1 KB.
const MAX_ATTRIBUTES_BYTES: usize = 1_000;
const MAX_ATTRIBUTES: usize = 35;
/// Says that attributes are left out.
const TRUNCATED: &str = "truncated";

/// Returns the sidecar of a meeting's knowledge document: `{"metadataAttributes": {…}}`. If the attributes are too
/// long, some are left out: first the e-mail addresses, then the speakers, then the title, then whatever else is
/// neither an id of the meeting nor a date nor the value of one of METADATA_KEYS. If these alone are too long, there is
/// no sidecar.
pub fn knowledge_sidecar(info: &MeetingInfo, record: &MeetingRecord, summary: &Summary) -> Option<String> {
    let mut dispensable = dispensable(info, record, summary);
    let mut attributes = necessary(info);
    for (key, value) in info.metadata.iter().filter(|(_, value)| !value.is_empty()) {
        let mut key = key.clone();
        while is_reserved(&key) || attributes.contains_key(&key) {
            key = format!("metadata_{key}");
        }
        attributes.insert(key, json!(value));
    }
    for (key, value) in dispensable.iter().flatten() {
        attributes.insert((*key).to_owned(), value.clone());
    }
    dispensable.reverse();
    loop {
        if let Some(sidecar) = sidecar(&attributes) {
            return Some(sidecar);
        }
        for (key, _) in dispensable.pop()? {
            attributes.remove(key);
        }
        attributes.insert(TRUNCATED.to_owned(), json!(true));
    }
}

/// The attributes that are never left out, without the metadata.
fn necessary(info: &MeetingInfo) -> Map<String, Value> {
    // Filters for a range accept only numbers.
    let yyyymmdd = info.date.replace('-', "").parse::<u32>().ok();
    let started_at_epoch = info.started_at.map(|started_at| started_at.as_millis().div_euclid(1000));
    let values = [
        Some(json!(info.recording_id)),
        Some(json!(info.transcript_id)),
        Some(json!(info.date)),
        yyyymmdd.map(|number| json!(number)),
        started_at_epoch.map(|number| json!(number)),
    ];
    let keyed = NECESSARY.into_iter().zip(values);
    keyed.filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// The keys of the attributes that are never left out.
const NECESSARY: [&str; 5] = ["recording_id", "transcript_id", "date", "yyyymmdd", "started_at_epoch"];

/// The keys of the attributes that may be left out.
const DISPENSABLE: [&str; 9] = [
    "participant_emails",
    "participant_domains",
    "speakers",
    "title",
    "language_codes",
    "platform",
    "provider",
    "duration_s",
    "bot_id",
];

/// Returns groups of attributes, in the order in which they are left out.
fn dispensable(info: &MeetingInfo, record: &MeetingRecord, summary: &Summary) -> Vec<Vec<(&'static str, Value)>> {
    let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
    let list = |texts: Vec<String>| (!texts.is_empty()).then(|| json!(texts));
    let groups = [
        vec![list(record.emails()), list(record.domains())],
        vec![list(record.speakers())],
        vec![text(&record.title)],
        vec![list(summary.language_codes.iter().cloned().collect())],
        vec![text(&record.platform)],
        vec![text(&info.provider)],
        vec![duration_s(info, summary).map(|duration_s| json!(duration_s))],
        vec![info.bot_id.map(|bot_id| json!(bot_id))],
    ];
    let mut keys = DISPENSABLE.into_iter();
    let named = |group: Vec<Option<Value>>| {
        let keyed = keys.by_ref().take(group.len()).zip(group);
        keyed.filter_map(|(key, value)| Some((key, value?))).collect()
    };
    groups.into_iter().map(named).filter(|group: &Vec<_>| !group.is_empty()).collect()
}

/// Returns whether a key of the metadata cannot keep its name: it is one of ours, or Bedrock does not accept it.
fn is_reserved(key: &str) -> bool {
    let is_own = NECESSARY.iter().chain(&DISPENSABLE).chain([&TRUNCATED]).any(|own| *own == key);
    is_own || key.starts_with('_') || key.to_ascii_lowercase().starts_with("x-amz-bedrock")
}

/// Returns the sidecar if the attributes are within the limits.
fn sidecar(attributes: &Map<String, Value>) -> Option<String> {
    let json = serde_json::to_string(attributes).unwrap_or_else(|_| unreachable!("text keys and plain values"));
    let fits = json.len() <= MAX_ATTRIBUTES_BYTES && attributes.len() <= MAX_ATTRIBUTES;
    fits.then(|| format!("{{\"metadataAttributes\":{json}}}"))
}

#[cfg(test)]
mod tests;
