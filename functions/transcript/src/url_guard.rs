//! Checks that a download may come from a URL. A `download_url` is untrusted input.

use std::{collections::BTreeMap, sync::Arc};

use pipeline::settings::{REGIONS, RecallSettings};
use reqwest::redirect;
use url::{Host, Url};

/// How many redirects are followed. Each is checked like the first URL.
const MAX_REDIRECTS: usize = 3;
/// The only folder on Recall's API hosts that serves downloads.
const API_DOWNLOADS: &str = "/api/v1/download/";
/// The folder of a host that may serve downloads from any path.
const ANY_PATH: &str = "/";
/// The only host besides that of RECALL_BASE_URL that may use plain HTTP.
const LOCALHOST: &str = "localhost";
/// `.`, `/`, `\` and `%` in escaped form, in lower case. A server may decode them and so use another path than the one
/// that was checked.
const FORBIDDEN_ESCAPES: [&str; 4] = ["%2e", "%2f", "%5c", "%25"];

/// Checks URLs against the hosts that downloads may come from.
#[derive(Clone, Debug)]
pub(crate) struct UrlGuard(Arc<AllowedHosts>);

#[derive(Debug)]
struct AllowedHosts {
    /// The hosts that are allowed over https, each with the folder that serves downloads.
    folders: BTreeMap<String, String>,
    base_url: Option<BaseUrlHost>,
}

/// The host of RECALL_BASE_URL: the only one that may be an IP address or have a port.
#[derive(Debug)]
struct BaseUrlHost {
    host: String,
    /// Whether the operator has chosen plain HTTP.
    is_plain: bool,
    /// Whether it is a loopback address over plain HTTP. Then `localhost` may use plain HTTP as well, if DOWNLOAD_HOSTS
    /// has it.
    is_local: bool,
}

/// Why a URL is not fetched. The reason never quotes the URL, which is a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forbidden {
    #[error("the download URL is not a valid URL")]
    NotAUrl,
    #[error("the download URL does not use https")]
    NotHttps,
    #[error("the download URL contains a user name or a password")]
    HasUser,
    #[error("the download URL contains a port")]
    HasPort,
    #[error("the host of the download URL is an IP address")]
    IpAddress,
    #[error("the download host `{0}` is not allowed; if it is Recall's, add it to DOWNLOAD_HOSTS")]
    Host(String),
    #[error("the download URL has a path on the host `{0}` that serves no downloads")]
    Path(String),
}

impl UrlGuard {
    pub(crate) fn new(settings: &RecallSettings) -> Self {
        let mut folders = BTreeMap::new();
        for region in &settings.regions {
            let bucket = recall_bucket(region);
            folders.insert(format!("{bucket}.s3.amazonaws.com"), ANY_PATH.to_owned());
            folders.insert(format!("{bucket}.s3.{region}.amazonaws.com"), ANY_PATH.to_owned());
            folders.insert(format!("s3.{region}.amazonaws.com"), format!("/{bucket}/"));
            folders.insert(format!("{region}.recall.ai"), API_DOWNLOADS.to_owned());
        }
        for host in &settings.download_hosts {
            // On an API host that the operator lists, only the download folder is allowed.
            let folder = if is_api_host(host) { API_DOWNLOADS } else { ANY_PATH };
            folders.insert(host.clone(), folder.to_owned());
        }
        let base_url = settings.own_url.as_ref().and_then(BaseUrlHost::of).filter(|own| !is_api_host(&own.host));
        Self(Arc::new(AllowedHosts { folders, base_url }))
    }

    /// Parses and checks a URL.
    pub(crate) fn parse(&self, text: &str) -> Result<Url, Forbidden> {
        let url = text.parse().map_err(|_| Forbidden::NotAUrl)?;
        self.check(&url).map(|()| url)
    }

    /// Checks that a download may come from this URL.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let host = url.host().ok_or(Forbidden::NotAUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Forbidden::HasUser);
        }
        let name = host.to_string().to_ascii_lowercase();
        let folder = self.0.folders.get(&name);
        if let Some(base_url) = &self.0.base_url {
            let is_secure = url.scheme() == "https";
            let is_plain = url.scheme() == "http";
            if base_url.host == name && (is_secure || is_plain && base_url.is_plain) {
                return Ok(());
            }
            if base_url.is_local && is_plain && name == LOCALHOST && folder.is_some() {
                return Ok(());
            }
        }
        if url.scheme() != "https" {
            return Err(Forbidden::NotHttps);
        }
        let shortened = || name.chars().take(100).collect();
        match (host, folder) {
            (Host::Ipv4(_) | Host::Ipv6(_), _) => Err(Forbidden::IpAddress),
            (Host::Domain(_), None) => Err(Forbidden::Host(shortened())),
            (Host::Domain(_), Some(_)) if url.port().is_some() => Err(Forbidden::HasPort),
            (Host::Domain(_), Some(folder)) if is_below(url.path(), folder) => Ok(()),
            (Host::Domain(_), Some(_)) => Err(Forbidden::Path(shortened())),
        }
    }

    /// Returns the policy that follows only redirects to allowed URLs.
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

impl BaseUrlHost {
    fn of(url: &Url) -> Option<Self> {
        let host = url.host()?;
        let is_plain = url.scheme() == "http";
        let is_loopback = match host {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(_) => false,
        };
        Some(Self { host: host.to_string().to_ascii_lowercase(), is_plain, is_local: is_plain && is_loopback })
    }
}

/// Returns the name of Recall's bucket in a region.
fn recall_bucket(region: &str) -> String {
    match region {
        "us-east-1" => "recallai-production-bot-data".to_owned(),
        region => format!("{region}-recallai-production-bot-data"),
    }
}

/// Returns whether this is a host of Recall's API in any region.
fn is_api_host(host: &str) -> bool {
    let name = host.strip_suffix(".recall.ai");
    name.is_some_and(|name| name == "api" || REGIONS.contains(&name))
}

/// Returns whether every server finds this path below the folder. The path is that of a parsed URL, in which `.` and
/// `..` are already resolved.
fn is_below(path: &str, folder: &str) -> bool {
    if folder == ANY_PATH {
        return true;
    }
    let Some(rest) = path.strip_prefix(folder) else { return false };
    let lower = rest.to_ascii_lowercase();
    let has_escapes = FORBIDDEN_ESCAPES.into_iter().any(|escaped| lower.contains(escaped));
    // Some servers treat `..;` as the parent folder, and some ignore empty parts.
    let is_odd = rest.starts_with('/') || rest.contains("//") || rest.split('/').any(|part| part.starts_with(".."));
    !rest.is_empty() && !has_escapes && !is_odd
}

#[cfg(test)]
mod tests;
