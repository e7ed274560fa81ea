//! The transcript function's settings.

use std::collections::BTreeSet;

use pipeline::{
    env::{BadSettings, Env, Reader},
    settings::Common,
};
use renditions::Format;

#[derive(Debug)]
pub struct Settings {
    pub common: Common,
    pub bucket: String,
    /// The prefix of every object key. It is empty or ends in a slash.
    pub key_prefix: String,
    pub dead_letter_queue_url: String,
    /// The event bus for announcements. Without one there are no announcements.
    pub event_bus: Option<String>,
    pub(crate) renditions: Vec<Format>,
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
            renditions: reader.parsed("RENDITIONS", Format::ALL.to_vec(), renditions),
        };
        reader.finish(settings)
    }
}

/// Parses the names of renditions. Returns each format once, in the order in which the renditions are written.
fn renditions(text: &str) -> Result<Vec<Format>, String> {
    let named = text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(|name| {
        Format::parse(name).ok_or_else(|| {
            let names = Format::ALL.map(|format| format.spec().name).join(", ");
            format!("`{name}` is not a rendition; use any of {names}, separated by commas")
        })
    });
    Ok(named.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect())
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
        assert_eq!(renditions("txt, jsonl,,txt"), Ok(vec![Format::Jsonl, Format::Txt]));
        assert_eq!(renditions("jsonl,txt,md,vtt,srt,html"), Ok(Format::ALL.to_vec()));
        for bad in ["pdf", "txt;md", "TXT"] {
            let error = renditions(bad).expect_err("invalid");
            assert!(error.contains("jsonl, txt, md, vtt, srt, html"), "{error}");
        }
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
