//! The manifests in the bucket. Each one is read once.

use std::{collections::HashMap, sync::Mutex};

use serde::Serialize;
use serde_json::Value;

use crate::{
    s3::{Attributes, S3},
    wire::lock,
};

/// A longer manifest is not read. One with a thousand people has some hundred kilobytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// How many people of a meeting are shown. Those who spoke come first in the manifest.
const MAX_PEOPLE: usize = 60;

/// What the page needs from a manifest.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) title: Option<String>,
    /// `None` in a manifest from before meetings were stored.
    pub(super) meeting: Option<Meeting>,
    /// The files in the manifest, and the manifest itself.
    pub(super) files: Vec<File>,
}

/// Who attended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Meeting {
    title: Option<String>,
    platform: Option<String>,
    /// Counts of all people, shown or not.
    attended: u64,
    spoke: usize,
    people: Vec<Person>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Person {
    name: Option<String>,
    is_host: bool,
    present_s: Option<f64>,
    spoke: bool,
    talk_s: Option<f64>,
}

/// One object that belongs to a transcript.
#[derive(Clone, Debug, Serialize)]
pub(super) struct File {
    name: String,
    key: String,
    bytes: u64,
    content_type: String,
}

/// The manifests that were read, by key, each with its ETag, which changes when a manifest is written again.
#[derive(Debug, Default)]
pub(super) struct Manifests(Mutex<HashMap<String, (String, Manifest)>>);

impl Manifests {
    /// `None` if the manifest is gone or unreadable.
    pub(super) fn read(&self, s3: &S3, key: &str) -> Option<Manifest> {
        let attributes = s3.attributes(key).ok()??;
        if let Some((_, known)) = lock(&self.0).get(key).filter(|(e_tag, _)| *e_tag == attributes.e_tag) {
            return Some(known.clone());
        }
        let e_tag = attributes.e_tag.clone();
        let manifest = read(s3, key, attributes)?;
        lock(&self.0).insert(key.to_owned(), (e_tag, manifest.clone()));
        Some(manifest)
    }
}

fn read(s3: &S3, key: &str, attributes: Attributes) -> Option<Manifest> {
    if attributes.bytes > MAX_BYTES {
        return None;
    }
    let manifest: Value = serde_json::from_slice(&s3.object(key).ok()??).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let file = |file: &Value| {
        Some(File {
            name: text(&file["name"])?,
            key: text(&file["key"])?,
            bytes: file["bytes"].as_u64()?,
            content_type: text(&file["content_type"])?,
        })
    };
    let mut files: Vec<File> = manifest["files"].as_array()?.iter().filter_map(file).collect();
    files.push(File {
        name: "manifest.json".to_owned(),
        key: key.to_owned(),
        bytes: attributes.bytes,
        content_type: attributes.content_type.unwrap_or_default(),
    });
    let meeting = meeting(&manifest["meeting"]);
    let stored = meeting.as_ref().and_then(|meeting| meeting.title.clone());
    let title = stored.or_else(|| text(&manifest["recording"]["metadata"]["title"]));
    Some(Manifest { title, meeting, files })
}

/// Returns the `meeting` of a manifest. What has another type counts as unknown.
fn meeting(meeting: &Value) -> Option<Meeting> {
    let fields = meeting.as_object()?;
    let text = |name: &str| fields.get(name)?.as_str().map(str::to_owned);
    let participants = fields.get("participants").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let over_limit = fields.get("participants_over_limit").and_then(Value::as_u64).unwrap_or_default();
    let people = participants.iter().take(MAX_PEOPLE).map(|person| Person {
        name: person["name"].as_str().map(str::to_owned),
        is_host: person["is_host"] == true,
        present_s: person["present_s"].as_f64(),
        spoke: person["spoke"] == true,
        talk_s: person["talk_s"].as_f64(),
    });
    Some(Meeting {
        title: text("title"),
        platform: text("platform"),
        attended: over_limit.saturating_add(participants.len() as u64),
        spoke: participants.iter().filter(|person| person["spoke"] == true).count(),
        people: people.collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::Wire;

    #[tokio::test]
    async fn manifests_with_and_without_a_meeting_are_read() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let s3 = S3::start(&Wire::default(), folder.path(), "bucket").await?;
        let manifests = Manifests::default();
        let read = |manifest: Value| {
            s3.put("manifest.json", "application/json", manifest.to_string().as_bytes())?;
            anyhow::Ok(manifests.read(&s3, "manifest.json"))
        };
        let recording = json!({"metadata": {"title": "From metadata"}});
        let old = read(json!({"recording": recording, "files": []}))?.expect("it is readable");
        assert_eq!((old.title.as_deref(), &old.meeting, old.files.len()), (Some("From metadata"), &None, 1));
        let ann = json!({"name": "Ann", "is_host": true, "present_s": 60.5, "spoke": true, "talk_s": 7.0});
        let silent = json!({"name": null, "is_host": null, "present_s": null, "spoke": false, "talk_s": 0.0});
        let meeting = json!({"title": "Review", "platform": "zoom", "participants": [ann, silent]});
        let new = read(json!({"recording": recording, "files": [], "meeting": meeting}))?.expect("it is readable");
        assert_eq!(new.title.as_deref(), Some("Review"));
        let expected = json!({
            "title": "Review",
            "platform": "zoom",
            "attended": 2,
            "spoke": 1,
            "people": [
                ann,
                {"name": null, "is_host": false, "present_s": null, "spoke": false, "talk_s": 0.0},
            ],
        });
        assert_eq!(serde_json::to_value(new.meeting)?, expected);
        Ok(())
    }

    #[test]
    fn meetings_of_another_shape_are_read_as_far_as_possible() {
        for none in [json!(null), json!([]), json!("text")] {
            assert_eq!(meeting(&none), None);
        }
        let odd = json!({"title": 7, "platform": null, "participants": [null, 7, {"name": ["Ann"], "spoke": "yes"}]});
        let odd = meeting(&odd).expect("it is an object");
        assert_eq!((odd.title, odd.platform, odd.attended, odd.spoke), (None, None, 3, 0));
        assert_eq!(meeting(&json!({})), Some(Meeting::default()));
    }

    #[test]
    fn only_the_first_people_are_shown() {
        let person = |index: usize| json!({"name": format!("Person {index}"), "spoke": index < 100});
        let people: Vec<Value> = (0..1_000).map(person).collect();
        let large = meeting(&json!({"participants": people, "participants_over_limit": 99_000})).expect("an object");
        assert_eq!((large.attended, large.spoke, large.people.len()), (100_000, 100, MAX_PEOPLE));
        assert!(large.people.iter().all(|person| person.spoke));
    }
}
