//! The chain of providers, and the overrides in a recording's metadata.

use std::{borrow::Cow, collections::BTreeSet};

use job::{Overrides, ids::RecordingId};
use serde_json::{Map, Value, value::RawValue};

use crate::logs;

/// A longer text is neither the name of a provider nor a language.
const MAX_OVERRIDE_BYTES: usize = 64;

/// The keys of overrides whose values are invalid.
pub type InvalidOverrides = BTreeSet<&'static str>;

/// One provider of the chain, exactly as the operator wrote it.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its key, such as `recallai_async`.
    pub name: String,
    /// The whole `provider` object of the request, with unchanged options.
    pub body: Box<RawValue>,
}

impl Provider {
    /// Returns the `provider` object, with the language of the override if there is one.
    pub fn body_for(&self, language: Option<&str>) -> Cow<'_, RawValue> {
        let changed = language.and_then(|language| {
            let mut body: Map<String, Value> = serde_json::from_str(self.body.get()).ok()?;
            set_language(&self.name, body.get_mut(&self.name)?.as_object_mut()?, language);
            serde_json::value::to_raw_value(&body).ok()
        });
        changed.map_or(Cow::Borrowed(&*self.body), Cow::Owned)
    }
}

/// Sets the option for the language, which has another name and another format for each provider.
fn set_language(provider: &str, options: &mut Map<String, Value>, language: &str) {
    let one: Value = language.into();
    let list: Value = vec![one.clone()].into();
    match provider {
        "deepgram_async" | "rev_async" => set(options, "language", one),
        "speechmatics_async" => set_nested(options, "transcription_config", "language", one),
        "gladia_v2_async" => set_nested(options, "language_config", "languages", list),
        "google_speech_v2_async" => set_nested(options, "config", "languageCodes", list),
        "aws_transcribe_async" => set(options, "LanguageCode", one),
        // recallai_async, assembly_ai_async, elevenlabs_async, and providers that Recall may add.
        _ => set(options, "language_code", one),
    }
}

fn set(options: &mut Map<String, Value>, key: &str, value: Value) {
    options.insert(key.to_owned(), value);
}

fn set_nested(options: &mut Map<String, Value>, name: &str, key: &str, value: Value) {
    let nested = options.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if let Some(nested) = nested.as_object_mut() {
        set(nested, key, value);
    }
}

/// Reads the overrides in the metadata of a recording and of its bot. The recording's metadata has priority. An invalid
/// override is left out, and its key is returned.
pub fn parse_overrides(recording: &Value, bot: &Value, chain: &[String]) -> (Overrides, InvalidOverrides) {
    let mut invalid = InvalidOverrides::new();
    let mut read = |key: &'static str, is_valid: &dyn Fn(&str) -> bool| {
        let given =
            [recording, bot].into_iter().find_map(|metadata| metadata.get(key).filter(|value| !value.is_null()))?;
        let text = given.as_str().map(str::trim).filter(|text| text.len() <= MAX_OVERRIDE_BYTES && is_valid(text));
        if text.is_none() {
            invalid.insert(key);
        }
        text.map(str::to_owned)
    };
    let skip = read("transcript", &|text| text == "skip").is_some();
    let provider = read("transcript_provider", &|text| chain.iter().any(|known| known == text));
    let language = read("transcript_language", &is_language);
    (Overrides { skip, provider, language }, invalid)
}

fn is_language(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Logs the overrides that have no effect because they are invalid.
pub fn log_invalid_overrides(recording_id: RecordingId, invalid: &InvalidOverrides) {
    for &key in invalid {
        tracing::warn!(message = logs::OVERRIDE_IGNORED, recording.id = %recording_id, key);
    }
}

/// Parses the chain of providers in the setting TRANSCRIPT_PROVIDERS.
///
/// # Errors
/// Says what is wrong with the chain, and shows an example.
pub fn parse(text: &str) -> Result<Vec<Provider>, String> {
    let example = r#"an example is [{"recallai_async": {"language_code": "auto"}}]"#;
    let bodies: Vec<Box<RawValue>> =
        serde_json::from_str(text).map_err(|error| format!("the value is not a JSON array ({error}); {example}"))?;
    if bodies.is_empty() {
        return Err(format!("the array has no provider; {example}"));
    }
    let providers = bodies.into_iter().map(parse_provider).collect::<Option<Vec<_>>>().ok_or_else(|| {
        format!("each entry must be an object with one key that ends in `_async` and has the options; {example}")
    })?;
    let names: BTreeSet<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
    if names.len() < providers.len() {
        return Err("a provider is named twice; set TRIES_PER_PROVIDER to try each provider several times".to_owned());
    }
    Ok(providers)
}

fn parse_provider(body: Box<RawValue>) -> Option<Provider> {
    let entry: Map<String, Value> = serde_json::from_str(body.get()).ok()?;
    let (name, options) = entry.iter().next()?;
    let is_valid = entry.len() == 1 && options.is_object() && name.ends_with("_async");
    is_valid.then(|| Provider { name: name.clone(), body })
}

/// Returns the chain that is used without the setting: Recall's own engine.
pub fn default() -> Vec<Provider> {
    parse(r#"[{"recallai_async": {}}]"#).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn provider_options_are_passed_on_unchanged() {
        let chain = r#"[{"assembly_ai_async": {"language_confidence_threshold": 0.10, "z": 1, "a": null}}]"#;
        let providers = parse(chain).expect("a good chain");
        assert_eq!(providers[0].name, "assembly_ai_async");
        let body = r#"{"assembly_ai_async": {"language_confidence_threshold": 0.10, "z": 1, "a": null}}"#;
        assert_eq!(providers[0].body.get(), body);
    }

    #[test]
    fn language_is_set_in_the_option_of_each_provider() {
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
    fn overrides_of_the_recording_have_priority_and_invalid_ones_are_left_out() {
        let chain = ["recallai_async", "rev_async"].map(str::to_owned);
        let bot = json!({"transcript": "skip", "transcript_provider": "rev_async", "transcript_language": "en"});
        let (overrides_of_bot, invalid) = parse_overrides(&Value::Null, &bot, &chain);
        let all = Overrides { skip: true, provider: Some("rev_async".to_owned()), language: Some("en".to_owned()) };
        assert_eq!((overrides_of_bot, invalid), (all, InvalidOverrides::new()));
        let recording = json!({"transcript_language": "de", "transcript": null});
        assert_eq!(parse_overrides(&recording, &bot, &chain).0.language.as_deref(), Some("de"));
        let odd = json!({"transcript": "no", "transcript_provider": "openai", "transcript_language": "a b"});
        let (none, invalid) = parse_overrides(&odd, &bot, &chain);
        let keys = ["transcript", "transcript_language", "transcript_provider"];
        assert_eq!((none, invalid), (Overrides::default(), InvalidOverrides::from(keys)));
        for metadata in [json!(null), json!("text"), json!([1]), json!({"transcript": ["skip"]})] {
            assert_eq!(parse_overrides(&metadata, &Value::Null, &chain).0, Overrides::default(), "{metadata}");
        }
    }
}
