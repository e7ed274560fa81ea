//! The chain of providers, and what a recording's metadata may change about it.

use std::{borrow::Cow, collections::BTreeSet};

use job::{Overrides, ids::RecordingId};
use serde_json::{Map, Value, value::RawValue};

use crate::logs;

/// A longer override names neither a provider nor a language.
const MAX_OVERRIDE_BYTES: usize = 64;

/// One provider of the chain, exactly as the operator wrote it.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its key, such as `recallai_async`.
    pub name: String,
    /// The whole `provider` object of the request, options untouched.
    pub body: Box<RawValue>,
}

impl Provider {
    /// The `provider` object, with the language of the override if there is one.
    pub fn body_for(&self, language: Option<&str>) -> Cow<'_, RawValue> {
        let spoken = language.and_then(|language| {
            let mut body: Map<String, Value> = serde_json::from_str(self.body.get()).ok()?;
            set_language(&self.name, body.get_mut(&self.name)?.as_object_mut()?, language);
            serde_json::value::to_raw_value(&body).ok()
        });
        spoken.map_or(Cow::Borrowed(&*self.body), Cow::Owned)
    }
}

/// Each provider has its own option, and its own words for languages.
fn set_language(provider: &str, options: &mut Map<String, Value>, language: &str) {
    let nested = |options: &mut Map<String, Value>, name: &str, key: &str, value: Value| {
        let inner = options.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if let Some(inner) = inner.as_object_mut() {
            inner.insert(key.to_owned(), value);
        }
    };
    match provider {
        "deepgram_async" | "rev_async" => drop(options.insert("language".to_owned(), language.into())),
        "speechmatics_async" => nested(options, "transcription_config", "language", language.into()),
        "gladia_v2_async" => nested(options, "language_config", "languages", vec![Value::from(language)].into()),
        "google_speech_v2_async" => nested(options, "config", "languageCodes", vec![Value::from(language)].into()),
        "aws_transcribe_async" => drop(options.insert("LanguageCode".to_owned(), language.into())),
        // recallai_async, assembly_ai_async, elevenlabs_async, and whatever comes later.
        _ => drop(options.insert("language_code".to_owned(), language.into())),
    }
}

/// What the metadata of a recording and of its bot asks for; the recording's wins. What makes no sense is logged and
/// left out.
pub fn overrides(recording_id: RecordingId, recording: &Value, bot: &Value, chain: &[String]) -> Overrides {
    let (overrides, invalid) = read_overrides(recording, bot, chain);
    for key in invalid {
        tracing::warn!(message = logs::OVERRIDE_IGNORED, recording.id = %recording_id, key);
    }
    overrides
}

fn read_overrides(recording: &Value, bot: &Value, chain: &[String]) -> (Overrides, BTreeSet<&'static str>) {
    let mut invalid = BTreeSet::new();
    let mut read = |key: &'static str, good: &dyn Fn(&str) -> bool| {
        let given =
            [recording, bot].into_iter().find_map(|metadata| metadata.get(key).filter(|value| !value.is_null()))?;
        let text = given.as_str().map(str::trim).filter(|text| text.len() <= MAX_OVERRIDE_BYTES && good(text));
        if text.is_none() {
            invalid.insert(key);
        }
        text.map(str::to_owned)
    };
    let skip = read("transcript", &|text| text == "skip").is_some();
    let provider = read("transcript_provider", &|text| chain.iter().any(|known| known == text));
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let language = read("transcript_language", &plain);
    (Overrides { skip, provider, language }, invalid)
}

/// # Errors
/// Says what is wrong with the chain, and how one looks.
pub fn parse(text: &str) -> Result<Vec<Provider>, String> {
    let example = r#"it looks like [{"recallai_async": {"language_code": "auto"}}]"#;
    let bodies: Vec<Box<RawValue>> =
        serde_json::from_str(text).map_err(|error| format!("not a JSON array ({error}); {example}"))?;
    if bodies.is_empty() {
        return Err(format!("no provider in the array; {example}"));
    }
    let providers = bodies.into_iter().map(parse_provider).collect::<Option<Vec<_>>>().ok_or_else(|| {
        format!("every entry must be an object of one key, ending in `_async`, with its options; {example}")
    })?;
    let names: BTreeSet<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
    if names.len() < providers.len() {
        return Err("a provider is named twice; TRIES_PER_PROVIDER says how often each is tried".to_owned());
    }
    Ok(providers)
}

fn parse_provider(body: Box<RawValue>) -> Option<Provider> {
    let entry: Map<String, Value> = serde_json::from_str(body.get()).ok()?;
    let (name, options) = entry.iter().next()?;
    let good = entry.len() == 1 && options.is_object() && name.ends_with("_async");
    good.then(|| Provider { name: name.clone(), body })
}

/// Recall's own engine.
pub fn default() -> Vec<Provider> {
    parse(r#"[{"recallai_async": {}}]"#).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn provider_options_pass_through_untouched() {
        let chain = r#"[{"assembly_ai_async": {"language_confidence_threshold": 0.10, "z": 1, "a": null}}]"#;
        let providers = parse(chain).expect("a good chain");
        assert_eq!(providers[0].name, "assembly_ai_async");
        let body = r#"{"assembly_ai_async": {"language_confidence_threshold": 0.10, "z": 1, "a": null}}"#;
        assert_eq!(providers[0].body.get(), body);
    }

    #[test]
    fn a_language_goes_where_the_provider_looks_for_it() {
        for (provider, expected) in [
            ("recallai_async", json!({"language_code": "ja", "x": 1})),
            ("assembly_ai_async", json!({"language_code": "ja", "x": 1})),
            ("elevenlabs_async", json!({"language_code": "ja", "x": 1})),
            ("deepgram_async", json!({"language": "ja", "x": 1})),
            ("rev_async", json!({"language": "ja", "x": 1})),
            ("speechmatics_async", json!({"transcription_config": {"language": "ja"}, "x": 1})),
            ("gladia_v2_async", json!({"language_config": {"languages": ["ja"]}, "x": 1})),
            ("google_speech_v2_async", json!({"config": {"languageCodes": ["ja"]}, "x": 1})),
            ("aws_transcribe_async", json!({"LanguageCode": "ja", "x": 1})),
        ] {
            let chain = parse(&json!([{provider: {"x": 1}}]).to_string()).expect("a good chain");
            let body: Value = serde_json::from_str(chain[0].body_for(Some("ja")).get()).expect("JSON");
            assert_eq!(body, json!({provider: expected}));
            assert_eq!(chain[0].body_for(None).get(), chain[0].body.get());
        }
    }

    #[test]
    fn overrides_of_the_recording_win_and_invalid_ones_are_left_out() {
        let chain = ["recallai_async", "rev_async"].map(str::to_owned);
        let bot = json!({"transcript": "skip", "transcript_provider": "rev_async", "transcript_language": "en"});
        let (overrides_of_bot, invalid) = read_overrides(&Value::Null, &bot, &chain);
        let all = Overrides { skip: true, provider: Some("rev_async".to_owned()), language: Some("en".to_owned()) };
        assert_eq!((overrides_of_bot, invalid.len()), (all, 0));
        let recording = json!({"transcript_language": "de", "transcript": null});
        assert_eq!(read_overrides(&recording, &bot, &chain).0.language.as_deref(), Some("de"));
        let odd = json!({"transcript": "no", "transcript_provider": "openai", "transcript_language": "a b"});
        let (none, invalid) = read_overrides(&odd, &bot, &chain);
        assert_eq!((none, invalid.len()), (Overrides::default(), 3));
        for metadata in [json!(null), json!("text"), json!([1]), json!({"transcript": ["skip"]})] {
            assert_eq!(read_overrides(&metadata, &Value::Null, &chain).0, Overrides::default(), "{metadata}");
        }
    }
}
