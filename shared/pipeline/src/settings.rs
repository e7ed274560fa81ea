//! The settings that several functions share, parsed into types.

use std::{collections::BTreeSet, fmt::Display, str::FromStr, sync::Arc, time::Duration};

use job::{DeleteAfterStore, OnLimit, Policy, RECALL_MAX_TRANSCRIPTS};
use url::Url;

use crate::{
    aws::Aws,
    credentials::{Credentials, SecretSource},
    env::{Env, Reader},
    metrics,
    providers::{self, Provider},
};

/// The regions in which Recall runs.
pub const REGIONS: [&str; 4] = ["us-east-1", "us-west-2", "eu-central-1", "ap-northeast-1"];
/// The most paid tries with one provider. Recall does not accept more transcripts for one recording.
const MAX_TRIES_PER_PROVIDER: u32 = RECALL_MAX_TRANSCRIPTS;
/// The longest name of a deployment.
const MAX_DEPLOYMENT_BYTES: usize = 64;
/// The earliest alarm before an expiry: a month.
const MAX_EXPIRY_ALARM_HOURS: u64 = 31 * 24;

/// The settings for calls to Recall and for downloads.
#[derive(Clone, Debug)]
pub struct RecallSettings {
    /// Ends in a slash, so that paths can be joined to it.
    pub base_url: Url,
    /// RECALL_BASE_URL, if it is set. Its host may serve downloads as well.
    pub own_url: Option<Url>,
    /// The regions whose own hosts may serve downloads: RECALL_REGION or, without it, all regions.
    pub regions: Vec<&'static str>,
    /// DOWNLOAD_HOSTS: more hosts that may serve downloads, in lower case.
    pub download_hosts: BTreeSet<String>,
    /// The name by which one of several deployments on a workspace recognizes its own transcripts.
    pub deployment: Option<Arc<str>>,
}

/// The settings for requesting transcripts.
#[derive(Clone, Debug)]
pub struct CreateSettings {
    /// Never empty.
    pub providers: Vec<Provider>,
    /// `diarization.use_separate_streams_when_available`.
    pub separate_streams: bool,
    pub policy: Policy,
}

impl RecallSettings {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let region = reader.parsed("RECALL_REGION", None, |text| {
            let known = REGIONS.into_iter().find(|region| *region == text);
            known
                .map(Some)
                .ok_or_else(|| format!("`{text}` is not a region of Recall; use one of {}", REGIONS.join(", ")))
        });
        let own_url = reader.parsed("RECALL_BASE_URL", None, |text| base_url(text).map(Some));
        if own_url.is_none() && reader.text("RECALL_REGION").is_none() && reader.text("RECALL_BASE_URL").is_none() {
            reader.problem(format!("RECALL_REGION is missing: set it to one of {}", REGIONS.join(", ")));
        }
        let regions = region.map_or_else(|| REGIONS.to_vec(), |region| vec![region]);
        let download_hosts =
            reader.parsed("DOWNLOAD_HOSTS", BTreeSet::new(), |text| text.split(',').map(host_name).collect());
        let fallback = format!("https://{}.recall.ai/", regions[0]);
        let base_url = own_url.clone().or_else(|| fallback.parse().ok());
        let base_url = base_url.unwrap_or_else(|| unreachable!("a region makes a URL"));
        let deployment = reader.parsed("DEPLOYMENT", None, |text| deployment(text).map(Some));
        Self { base_url, own_url, regions, download_hosts, deployment }
    }
}

impl CreateSettings {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let providers = reader.parsed("TRANSCRIPT_PROVIDERS", Vec::new(), providers::parse);
        let providers = if providers.is_empty() { providers::default() } else { providers };
        let policy = Policy {
            providers: providers.iter().map(|provider| provider.name.clone()).collect(),
            tries_per_provider: whole_number(reader, "TRIES_PER_PROVIDER", 3, MAX_TRIES_PER_PROVIDER),
            max_transcripts: whole_number(
                reader,
                "MAX_TRANSCRIPTS_PER_RECORDING",
                RECALL_MAX_TRANSCRIPTS,
                RECALL_MAX_TRANSCRIPTS,
            ),
            on_limit: one_of(
                reader,
                "ON_LIMIT",
                &[
                    ("stop", OnLimit::Stop),
                    ("delete_failed", OnLimit::DeleteFailed),
                    ("delete_stored", OnLimit::DeleteStored),
                ],
            ),
            copy_unrequested: reader.flag("COPY_UNREQUESTED", true),
            delete_after_store: one_of(
                reader,
                "DELETE_AFTER_STORE",
                &[
                    ("none", DeleteAfterStore::Nothing),
                    ("transcript", DeleteAfterStore::Transcript),
                    ("recording", DeleteAfterStore::Recording),
                ],
            ),
            announces: reader.text("EVENT_BUS").is_some(),
            // Only the transcript function writes documents. Its own settings say whether.
            has_knowledge: false,
            expiry_alarm: Duration::from_secs(
                60 * 60 * whole_number(reader, "EXPIRY_ALARM_HOURS", 24, MAX_EXPIRY_ALARM_HOURS),
            ),
        };
        Self { providers, separate_streams: reader.flag("SEPARATE_STREAMS", false), policy }
    }
}

/// The settings that every function needs.
#[derive(Debug)]
pub struct Common {
    pub aws: Aws,
    pub recall: RecallSettings,
    pub create: CreateSettings,
    pub secrets: SecretSource,
    pub jobs_table: String,
    pub work_queue_url: String,
}

impl Common {
    /// `webhooks` says whether this function verifies webhooks and so needs their secrets.
    pub fn read(env: &Env, reader: &mut Reader<'_>, webhooks: bool) -> Self {
        // The start of telemetry has read the namespace already, so here it is only checked.
        reader.parsed("METRICS_NAMESPACE", (), |text| metrics::namespace(text).map(drop));
        Self {
            aws: Aws::read(env, reader),
            recall: RecallSettings::read(reader),
            create: CreateSettings::read(reader),
            secrets: read_secret_source(reader, webhooks),
            jobs_table: reader.required("JOBS_TABLE", "the name of the jobs table"),
            work_queue_url: reader.required("WORK_QUEUE_URL", "the URL of the work queue"),
        }
    }
}

/// Checks the name of a deployment, which becomes part of metadata and of idempotency keys.
fn deployment(text: &str) -> Result<Arc<str>, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.len() <= MAX_DEPLOYMENT_BYTES && text.bytes().all(is_plain) {
        Ok(text.into())
    } else {
        Err(format!("`{text}` is not a valid name; use at most {MAX_DEPLOYMENT_BYTES} letters, digits, - and _"))
    }
}

/// Reads a whole number from 1 to `max`.
fn whole_number<T>(reader: &mut Reader<'_>, name: &str, default: T, max: T) -> T
where
    T: FromStr + PartialOrd + Display + Copy + From<u8>,
{
    reader.parsed(name, default, |text| {
        let number = text.parse().ok().filter(|number| (T::from(1)..=max).contains(number));
        number.ok_or_else(|| format!("`{text}` is not a whole number from 1 to {max}"))
    })
}

/// Reads one of a few words. The first one is the default.
fn one_of<T: Copy>(reader: &mut Reader<'_>, name: &str, choices: &[(&str, T)]) -> T {
    reader.parsed(name, choices[0].1, |text| {
        let words = || choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        chosen.ok_or_else(|| format!("`{text}` is not a valid value; use one of {}", words()))
    })
}

/// Returns the secret in Secrets Manager or, for local use, the values in the environment.
fn read_secret_source(reader: &mut Reader<'_>, webhooks: bool) -> SecretSource {
    if let Some(id) = reader.text("RECALL_SECRET_ID") {
        return SecretSource::SecretsManager { id: id.to_owned() };
    }
    let api_key = reader.required("RECALL_API_KEY", "your key (or set RECALL_SECRET_ID to a secret that holds it)");
    let secrets: Vec<&str> = reader
        .text("RECALL_WEBHOOK_SECRETS")
        .map(|text| text.split(',').map(str::trim).filter(|secret| !secret.is_empty()).collect())
        .unwrap_or_default();
    if webhooks && secrets.is_empty() {
        reader.problem("RECALL_WEBHOOK_SECRETS is missing: set it to the whsec_… secrets, separated by commas");
    }
    match Credentials::parse(&api_key, &secrets) {
        Ok(credentials) => SecretSource::Fixed(Arc::new(credentials)),
        Err(problem) => {
            // A missing key was reported above.
            if !api_key.is_empty() {
                reader.problem(format!("RECALL_API_KEY or RECALL_WEBHOOK_SECRETS: {problem}"));
            }
            SecretSource::Fixed(Arc::new(Credentials::none()))
        }
    }
}

fn base_url(text: &str) -> Result<Url, String> {
    let mut url: Url =
        text.parse().map_err(|_| "the value is not a URL; an example is https://us-east-1.recall.ai".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("the URL must begin with http:// or https:// and a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("the URL must not have a user, a query or a fragment".to_owned());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn host_name(text: &str) -> Result<String, String> {
    let host = text.trim().to_ascii_lowercase();
    match url::Host::parse(&host) {
        Ok(url::Host::Domain(domain)) if domain == host => Ok(host),
        Ok(_) | Err(_) => Err(format!("`{host}` is not a host name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_settings_are_all_reported_at_once() {
        let env = Env::from_pairs([
            ("RECALL_REGION", "us-east-9"),
            ("RECALL_BASE_URL", "ftp://x"),
            ("TRANSCRIPT_PROVIDERS", r#"[{"a_async": {}, "b_async": {}}]"#),
            ("MAX_TRANSCRIPTS_PER_RECORDING", "11"),
            ("TRIES_PER_PROVIDER", "0"),
            ("ON_LIMIT", "delete"),
            ("DELETE_AFTER_STORE", "all"),
            ("EXPIRY_ALARM_HOURS", "soon"),
            ("SEPARATE_STREAMS", "yes"),
            ("DOWNLOAD_HOSTS", "good.example,https://bad.example/"),
            ("DEPLOYMENT", "two words"),
        ]);
        let mut reader = Reader::new(&env);
        RecallSettings::read(&mut reader);
        CreateSettings::read(&mut reader);
        read_secret_source(&mut reader, true);
        let reported = reader.finish(()).expect_err("all settings are invalid").to_string();
        for name in [
            "RECALL_REGION",
            "RECALL_BASE_URL",
            "TRANSCRIPT_PROVIDERS",
            "MAX_TRANSCRIPTS_PER_RECORDING",
            "TRIES_PER_PROVIDER",
            "ON_LIMIT",
            "DELETE_AFTER_STORE",
            "EXPIRY_ALARM_HOURS",
            "SEPARATE_STREAMS",
            "DOWNLOAD_HOSTS",
            "DEPLOYMENT",
            "RECALL_API_KEY",
            "RECALL_WEBHOOK_SECRETS",
        ] {
            assert!(reported.contains(name), "{name} is not in: {reported}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let env = Env::from_pairs([("RECALL_REGION", "eu-central-1"), ("RECALL_API_KEY", "key")]);
        let mut reader = Reader::new(&env);
        let recall = RecallSettings::read(&mut reader);
        let create = CreateSettings::read(&mut reader);
        read_secret_source(&mut reader, false);
        reader.finish(()).expect("all settings are valid");
        assert_eq!(recall.base_url.as_str(), "https://eu-central-1.recall.ai/");
        assert_eq!((recall.regions, recall.own_url), (vec!["eu-central-1"], None));
        assert!(recall.download_hosts.is_empty());
        assert_eq!(create.providers[0].body.get(), r#"{"recallai_async": {}}"#);
        let policy = create.policy;
        assert_eq!((policy.max_transcripts, policy.tries_per_provider), (10, 3));
        assert_eq!((policy.on_limit, policy.delete_after_store), (OnLimit::Stop, DeleteAfterStore::Nothing));
        assert_eq!(policy.expiry_alarm, Duration::from_secs(24 * 60 * 60));
        assert!(policy.copy_unrequested && !policy.announces && !create.separate_streams);
    }

    #[test]
    fn base_url_replaces_a_region() {
        let env = Env::from_pairs([
            ("RECALL_BASE_URL", "http://127.0.0.1:4010/recall"),
            ("DOWNLOAD_HOSTS", "localhost, CDN.recall.ai"),
        ]);
        let mut reader = Reader::new(&env);
        let recall = RecallSettings::read(&mut reader);
        reader.finish(()).expect("all settings are valid");
        assert_eq!(recall.base_url.as_str(), "http://127.0.0.1:4010/recall/");
        assert_eq!(recall.own_url, Some(recall.base_url));
        assert_eq!(recall.regions, REGIONS);
        assert!(recall.download_hosts.into_iter().eq(["cdn.recall.ai", "localhost"]));
    }
}
