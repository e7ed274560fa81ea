//! The transcript function's settings.

use std::collections::BTreeSet;

use pipeline::{
    env::{BadSettings, Env, Reader},
    keys::KNOWLEDGE,
    settings::Common,
};
use renditions::Rendition;

use crate::tags::{MAX_TAG_KEY_CHARS, MAX_TAGS, is_tag_key};

/// A knowledge base of Amazon Bedrock reads a prefix of at most this length.
const MAX_KNOWLEDGE_PREFIX_BYTES: usize = 300;

#[derive(Debug)]
pub struct Settings {
    pub common: Common,
    pub bucket: String,
    /// The prefix of every object key. It is empty or ends in a slash.
    pub key_prefix: String,
    pub dead_letter_queue_url: String,
    /// The event bus for announcements. Without one there are no announcements.
    pub event_bus: Option<String>,
    pub(crate) renditions: Vec<Rendition>,
    /// Which of Recall's other files are kept.
    pub(crate) kept_files: KeptFiles,
    /// The keys of the metadata that readers may search by.
    pub(crate) metadata_keys: Vec<String>,
}

/// Which of Recall's other files are kept verbatim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeptFiles {
    pub(crate) participants: bool,
    pub(crate) events: bool,
    pub(crate) timeline: bool,
    /// The provider's raw response.
    pub(crate) provider_data: bool,
}

impl Settings {
    /// # Errors
    /// One error that names every missing or invalid setting.
    pub fn read(env: &Env) -> Result<Self, BadSettings> {
        let mut reader = Reader::new(env);
        let settings = Self {
            common: Common::read(env, &mut reader, false),
            bucket: reader.required("TRANSCRIPTS_BUCKET", "the name of the bucket for transcripts"),
            key_prefix: reader.parsed("KEY_PREFIX", String::new(), key_prefix),
            dead_letter_queue_url: reader.required("DEAD_LETTER_QUEUE_URL", "the URL of the dead-letter queue"),
            event_bus: reader.text("EVENT_BUS").map(str::to_owned),
            renditions: reader.parsed("RENDITIONS", default_renditions(), renditions),
            kept_files: KeptFiles {
                provider_data: reader.flag("PROVIDER_DATA", false),
                ..reader.parsed(
                    "MEETING_FILES",
                    KeptFiles { participants: true, ..KeptFiles::default() },
                    meeting_files,
                )
            },
            metadata_keys: reader.parsed("METADATA_KEYS", Vec::new(), metadata_keys),
        };
        if settings.renditions.contains(&Rendition::Knowledge)
            && settings.key_prefix.len() + KNOWLEDGE.len() > MAX_KNOWLEDGE_PREFIX_BYTES
        {
            reader.problem(format!(
                "KEY_PREFIX is too long for RENDITIONS with knowledge: a knowledge base reads a prefix of at most \
                 {MAX_KNOWLEDGE_PREFIX_BYTES} characters, including `{KNOWLEDGE}`; use a shorter one"
            ));
        }
        reader.finish(settings)
    }
}

fn default_renditions() -> Vec<Rendition> {
    Rendition::ALL.into_iter().filter(|rendition| rendition.is_default()).collect()
}

/// Parses the names of renditions. Returns each rendition once.
fn renditions(text: &str) -> Result<Vec<Rendition>, String> {
    let named = text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(|name| {
        Rendition::parse(name).ok_or_else(|| {
            let names = Rendition::ALL.map(Rendition::name).join(", ");
            format!("`{name}` is not a rendition; use any of {names}, separated by commas")
        })
    });
    Ok(named.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect())
}

fn meeting_files(text: &str) -> Result<KeptFiles, String> {
    let mut kept = KeptFiles::default();
    if text == "none" {
        return Ok(kept);
    }
    for name in text.split(',').map(str::trim) {
        match name {
            "participants" => kept.participants = true,
            "events" => kept.events = true,
            "timeline" => kept.timeline = true,
            _ => {
                return Err(format!(
                    "`{name}` is not a file of a meeting; use any of participants, events, timeline, separated by \
                     commas, or none"
                ));
            }
        }
    }
    Ok(kept)
}

/// Parses the keys of the metadata that become object tags, so each must be a valid key of a tag.
fn metadata_keys(text: &str) -> Result<Vec<String>, String> {
    let mut keys: Vec<String> = Vec::new();
    for key in text.split(',').map(str::trim).filter(|key| !key.is_empty()) {
        if !is_tag_key(key) {
            return Err(format!(
                "`{key}` cannot be the key of an object tag; use at most {MAX_TAG_KEY_CHARS} letters, digits, spaces \
                 and + - = . _ : / @, and do not begin with `aws:`"
            ));
        }
        if keys.iter().any(|known| known == key) {
            return Err(format!("`{key}` appears twice; name each key once"));
        }
        keys.push(key.to_owned());
    }
    if keys.len() > MAX_TAGS {
        return Err(format!("{} keys are named, but an object has at most {MAX_TAGS} tags", keys.len()));
    }
    Ok(keys)
}

fn key_prefix(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/!-_.*'()=".contains(&byte);
    let parts = text.strip_suffix('/').ok_or_else(|| format!("`{text}` does not end in `/`; add it"))?;
    let is_valid = text.len() <= 500
        && text.bytes().all(is_plain)
        && parts.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` is not a valid prefix; use up to 500 letters, digits and !-_.*'()= in parts separated by single \
             slashes"
        ))
    }
}

#[cfg(test)]
mod tests {
    use renditions::Format;

    use super::*;

    #[test]
    fn key_prefix_has_plain_parts_and_ends_in_a_slash() {
        for good in ["a/", "team=x/2026/"] {
            assert_eq!(key_prefix(good).as_deref(), Ok(good));
        }
        for bad in ["a", "/", "//", "/a/", "a//b/", "../", "a/./", "a b/", "ä/"] {
            assert!(key_prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn renditions_may_be_named_in_any_order() {
        let (jsonl, txt) = (Rendition::File(Format::Jsonl), Rendition::File(Format::Txt));
        assert_eq!(renditions("txt, jsonl,,txt"), Ok(vec![jsonl, txt]));
        let all = renditions("knowledge,jsonl,meetings,txt,md,vtt,srt,html").expect("all are known");
        assert_eq!(all.len(), Rendition::ALL.len());
        assert!(all.into_iter().filter(|rendition| *rendition != Rendition::Knowledge).eq(renditions_by_default()));
        for bad in ["pdf", "txt;md", "TXT"] {
            let error = renditions(bad).expect_err("invalid");
            assert!(error.contains("jsonl, meetings, txt, md, vtt, srt, html, knowledge"), "{error}");
        }
    }

    fn renditions_by_default() -> Vec<Rendition> {
        let mut default = default_renditions();
        default.sort();
        default
    }

    #[test]
    fn meeting_files_are_named_or_none() {
        let all = KeptFiles { participants: true, events: true, timeline: true, provider_data: false };
        assert_eq!(meeting_files("participants, timeline,events"), Ok(all));
        assert_eq!(meeting_files("none"), Ok(KeptFiles::default()));
        for bad in ["chat", "participants,none", "participants;events", "participants,"] {
            assert!(meeting_files(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn metadata_keys_are_valid_keys_of_tags() {
        assert_eq!(
            metadata_keys("tenant, crm.deal/id,Kunde Nr"),
            Ok(vec!["tenant".to_owned(), "crm.deal/id".to_owned(), "Kunde Nr".to_owned()])
        );
        assert_eq!(metadata_keys(","), Ok(Vec::new()));
        let eleven = (0..11).map(|n| format!("k{n}")).collect::<Vec<_>>().join(",");
        for bad in ["a,a", "a*b", "aws:x", "AWS:x", &"k".repeat(129), &eleven] {
            assert!(metadata_keys(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn key_prefix_leaves_room_for_the_knowledge_folder() {
        let problems = |prefix: String, renditions: &str| {
            let pairs = [("KEY_PREFIX", &*prefix), ("RENDITIONS", renditions)];
            Settings::read(&Env::from_pairs(pairs)).expect_err("others are missing").to_string()
        };
        let long = || format!("{}/", "x".repeat(290));
        assert!(problems(long(), "knowledge").contains("KEY_PREFIX is too long"));
        assert!(!problems(long(), "jsonl").contains("KEY_PREFIX"));
        assert!(!problems(format!("{}/", "x".repeat(289)), "knowledge").contains("KEY_PREFIX"));
    }

    #[test]
    fn settings_that_are_missing_are_all_named() {
        let error = Settings::read(&Env::default()).expect_err("nothing is set").to_string();
        for name in
            ["AWS_REGION", "RECALL_REGION", "RECALL_API_KEY", "JOBS_TABLE", "WORK_QUEUE_URL", "TRANSCRIPTS_BUCKET"]
        {
            assert!(error.contains(name), "{name} is not in: {error}");
        }
    }
}
