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
    /// Before every object key; empty, or ends in a slash.
    pub key_prefix: String,
    pub dead_letter_queue_url: String,
    /// Nobody is told without one.
    pub event_bus: Option<String>,
    pub(crate) renditions: Vec<Format>,
}

impl Settings {
    /// # Errors
    /// Every missing or wrong setting, in one error.
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

/// In the order in which they are written, each once.
fn renditions(text: &str) -> Result<Vec<Format>, String> {
    let named = text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(|name| {
        Format::parse(name).ok_or_else(|| {
            let names = Format::ALL.map(|format| format.spec().name).join(", ");
            format!("`{name}` is no rendition; use any of {names}, separated by commas")
        })
    });
    Ok(named.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect())
}

fn key_prefix(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/!-_.*'()=".contains(&byte);
    let parts = text.strip_suffix('/').ok_or("it must end in `/`")?;
    let good = text.len() <= 500
        && text.bytes().all(plain)
        && parts.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if good {
        Ok(text.to_owned())
    } else {
        Err("use letters, digits and !-_.*'()= in parts separated by single slashes".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_made_of_plain_parts_and_ends_in_a_slash() {
        for good in ["a/", "team=x/2026/"] {
            assert_eq!(key_prefix(good).as_deref(), Ok(good));
        }
        for bad in ["a", "/", "//", "/a/", "a//b/", "../", "a/./", "a b/", "ä/"] {
            assert!(key_prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn renditions_are_named_in_any_order() {
        assert_eq!(renditions("txt, jsonl,,txt"), Ok(vec![Format::Jsonl, Format::Txt]));
        assert_eq!(renditions("jsonl,txt,md,vtt,srt,html"), Ok(Format::ALL.to_vec()));
        for bad in ["pdf", "txt;md", "TXT"] {
            let said = renditions(bad).expect_err("wrong");
            assert!(said.contains("jsonl, txt, md, vtt, srt, html"), "{said}");
        }
    }

    #[test]
    fn every_missing_setting_is_named() {
        let said = Settings::read(&Env::default()).expect_err("nothing is set").to_string();
        for name in
            ["AWS_REGION", "RECALL_REGION", "RECALL_API_KEY", "JOBS_TABLE", "WORK_QUEUE_URL", "TRANSCRIPTS_BUCKET"]
        {
            assert!(said.contains(name), "{name} is not in: {said}");
        }
    }
}
