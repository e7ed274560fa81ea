//! Where a download may come from. A `download_url` is input like any other.

use std::{collections::BTreeSet, sync::Arc};

use reqwest::redirect;
use shared::settings::RecallSettings;
use url::{Host, Url};

/// Redirects that are followed, each checked like the first URL.
const MAX_REDIRECTS: usize = 3;

/// The hosts that downloads may come from.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    hosts: Arc<BTreeSet<String>>,
    /// The host of RECALL_BASE_URL: the only one that may be an IP address or speak plain HTTP.
    own_host: Option<String>,
}

/// Why a URL is not fetched. It never quotes the URL, which is a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forbidden {
    #[error("the download URL is not a URL")]
    NotAUrl,
    #[error("the download URL is not https")]
    NotHttps,
    #[error("the download URL names a user")]
    NamesUser,
    #[error("the download URL has an IP address for a host")]
    IpAddress,
    #[error("the download URL leads to the host `{0}`; if that is Recall's, add it to DOWNLOAD_HOSTS")]
    Host(String),
}

impl Guard {
    pub(crate) fn new(settings: &RecallSettings) -> Self {
        Self { hosts: Arc::clone(&settings.download_hosts), own_host: settings.own_host.clone() }
    }

    pub(crate) fn parse(&self, text: &str) -> Result<Url, Forbidden> {
        let url = text.parse().map_err(|_| Forbidden::NotAUrl)?;
        self.check(&url).map(|()| url)
    }

    pub(crate) fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let host = url.host().ok_or(Forbidden::NotAUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Forbidden::NamesUser);
        }
        let name = host.to_string().to_ascii_lowercase();
        if self.own_host.as_deref() == Some(name.as_str()) && matches!(url.scheme(), "http" | "https") {
            return Ok(());
        }
        if url.scheme() != "https" {
            return Err(Forbidden::NotHttps);
        }
        match host {
            Host::Ipv4(_) | Host::Ipv6(_) => Err(Forbidden::IpAddress),
            Host::Domain(_) if self.hosts.contains(&name) && url.port().is_none() => Ok(()),
            Host::Domain(_) => Err(Forbidden::Host(name.chars().take(100).collect())),
        }
    }

    /// Follows redirects only to where a download may come from.
    pub(crate) fn redirects(&self) -> redirect::Policy {
        let guard = self.clone();
        redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                return attempt.stop();
            }
            match guard.check(attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(forbidden) => attempt.error(forbidden),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use shared::env::{Env, Reader};

    use super::*;

    fn guard<const N: usize>(pairs: [(&str, &str); N]) -> Guard {
        let env = Env::from_pairs(pairs);
        let mut reader = Reader::new(&env);
        let guard = Guard::new(&RecallSettings::read(&mut reader));
        reader.finish(guard).expect("good settings")
    }

    #[test]
    fn recalls_own_hosts_pass_over_https() {
        let guard = guard([("RECALL_REGION", "us-west-2"), ("DOWNLOAD_HOSTS", "cdn.recall.ai")]);
        for good in [
            "https://us-west-2-recallai-production-bot-data.s3.amazonaws.com/_workspace-1/x?Signature=s",
            "https://US-WEST-2-recallai-production-bot-data.s3.amazonaws.com/x",
            "https://cdn.recall.ai/x",
        ] {
            guard.parse(good).expect(good);
        }
    }

    #[test]
    fn nothing_else_does() {
        let guard = guard([("RECALL_REGION", "us-west-2")]);
        for bad in [
            "",
            "/etc/passwd",
            "file:///etc/passwd",
            "http://us-west-2-recallai-production-bot-data.s3.amazonaws.com/x",
            "https://us-west-2-recallai-production-bot-data.s3.amazonaws.com:8443/x",
            "https://us-west-2-recallai-production-bot-data.s3.amazonaws.com.evil.example/x",
            "https://us-west-2-recallai-production-bot-data.s3.amazonaws.com@evil.example/x",
            "https://user@us-west-2-recallai-production-bot-data.s3.amazonaws.com/x",
            "https://eu-central-1-recallai-production-bot-data.s3.amazonaws.com/x",
            "https://evil.example/x",
            "https://169.254.169.254/latest/meta-data/",
            "https://0xa9fea9fe/",
            "https://[::ffff:169.254.169.254]/",
            "https://2852039166/",
            "https://127.0.0.1/",
            "https://localhost/",
        ] {
            guard.parse(bad).expect_err(bad);
        }
    }

    #[test]
    fn a_refusal_never_quotes_path_query_or_user() {
        let guard = guard([("RECALL_REGION", "us-west-2")]);
        for bad in [
            "https://evil.example/secret?Signature=secret#secret",
            "https://user:secret@evil.example/secret",
            "http://evil.example/secret",
            "https://10.0.0.1/secret",
            "secret",
        ] {
            let reason = guard.parse(bad).expect_err(bad).to_string();
            assert!(!reason.contains("secret"), "{reason}");
        }
        let long = format!("https://{}example/", "a.".repeat(120));
        assert!(guard.parse(&long).expect_err("another host").to_string().len() < 200);
    }

    #[test]
    fn only_the_base_urls_own_host_may_be_a_plain_address() {
        let guard = guard([("RECALL_BASE_URL", "http://127.0.0.1:4010")]);
        guard.parse("http://127.0.0.1:4011/x").expect("the simulator");
        assert_eq!(guard.parse("http://127.0.0.2:4011/x").err(), Some(Forbidden::NotHttps));
        assert_eq!(guard.parse("https://10.0.0.1/x").err(), Some(Forbidden::IpAddress));
    }
}
