//! Where a download may come from. A `download_url` is input like any other.

use std::{collections::BTreeMap, sync::Arc};

use pipeline::settings::{REGIONS, RecallSettings};
use reqwest::redirect;
use url::{Host, Url};

/// Redirects that are followed, each checked like the first URL.
const MAX_REDIRECTS: usize = 3;
/// The only folder of Recall's API hosts that serves downloads.
const API_DOWNLOADS: &str = "/api/v1/download/";
/// The folder of a host that serves downloads from anywhere.
const ANYWHERE: &str = "/";
/// The name of this machine: the only one that may speak plain HTTP beside the host of RECALL_BASE_URL.
const LOCALHOST: &str = "localhost";
/// `.`, `/`, `\` and `%` in escaped form, lower case. A server may read them as what they stand for, and then the path
/// is another one than the one that was checked.
const ESCAPED: [&str; 4] = ["%2e", "%2f", "%5c", "%25"];

/// The places that downloads may come from.
#[derive(Clone, Debug)]
pub(crate) struct UrlGuard(Arc<Places>);

#[derive(Debug)]
struct Places {
    /// Hosts that are asked over https, each with the folder that serves downloads.
    folders: BTreeMap<String, String>,
    own: Option<Own>,
}

/// The host of RECALL_BASE_URL: the only one that may be an IP address or have a port.
#[derive(Debug)]
struct Own {
    host: String,
    /// It is plain HTTP that the operator has chosen.
    is_plain: bool,
    /// It is on this machine, over plain HTTP: then `localhost` may be so, too, if the operator lists it.
    is_local: bool,
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
    #[error("the download URL names a port")]
    NamesPort,
    #[error("the download URL has an IP address for a host")]
    IpAddress,
    #[error("the download URL leads to the host `{0}`; if that is Recall's, add it to DOWNLOAD_HOSTS")]
    Host(String),
    #[error("the download URL leads to a path of the host `{0}` that serves no downloads")]
    Path(String),
}

impl UrlGuard {
    pub(crate) fn new(settings: &RecallSettings) -> Self {
        let mut folders = BTreeMap::new();
        for region in &settings.regions {
            let bucket = bucket(region);
            folders.insert(format!("{bucket}.s3.amazonaws.com"), ANYWHERE.to_owned());
            folders.insert(format!("{bucket}.s3.{region}.amazonaws.com"), ANYWHERE.to_owned());
            folders.insert(format!("s3.{region}.amazonaws.com"), format!("/{bucket}/"));
            folders.insert(format!("{region}.recall.ai"), API_DOWNLOADS.to_owned());
        }
        for host in &settings.download_hosts {
            // An operator who lists an API host means its downloads: nothing else there is one.
            let folder = if is_api(host) { API_DOWNLOADS } else { ANYWHERE };
            folders.insert(host.clone(), folder.to_owned());
        }
        let own = settings.own_url.as_ref().and_then(Own::of).filter(|own| !is_api(&own.host));
        Self(Arc::new(Places { folders, own }))
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
        let folder = self.0.folders.get(&name);
        if let Some(own) = &self.0.own {
            let is_secure = url.scheme() == "https";
            let is_plain = url.scheme() == "http";
            if own.host == name && (is_secure || is_plain && own.is_plain) {
                return Ok(());
            }
            if own.is_local && is_plain && name == LOCALHOST && folder.is_some() {
                return Ok(());
            }
        }
        if url.scheme() != "https" {
            return Err(Forbidden::NotHttps);
        }
        let short = || name.chars().take(100).collect();
        match (host, folder) {
            (Host::Ipv4(_) | Host::Ipv6(_), _) => Err(Forbidden::IpAddress),
            (Host::Domain(_), None) => Err(Forbidden::Host(short())),
            (Host::Domain(_), Some(_)) if url.port().is_some() => Err(Forbidden::NamesPort),
            (Host::Domain(_), Some(folder)) if is_below(url.path(), folder) => Ok(()),
            (Host::Domain(_), Some(_)) => Err(Forbidden::Path(short())),
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

impl Own {
    fn of(url: &Url) -> Option<Self> {
        let host = url.host()?;
        let is_plain = url.scheme() == "http";
        let on_loopback = match host {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(_) => false,
        };
        Some(Self { host: host.to_string().to_ascii_lowercase(), is_plain, is_local: is_plain && on_loopback })
    }
}

/// The bucket of a region.
fn bucket(region: &str) -> String {
    match region {
        "us-east-1" => "recallai-production-bot-data".to_owned(),
        region => format!("{region}-recallai-production-bot-data"),
    }
}

/// Whether this is a host of Recall's API, of any region.
fn is_api(host: &str) -> bool {
    let name = host.strip_suffix(".recall.ai");
    name.is_some_and(|name| name == "api" || REGIONS.contains(&name))
}

/// Whether this path of a parsed URL (`.` and `..` are resolved there) leads below the folder, however a server reads it.
fn is_below(path: &str, folder: &str) -> bool {
    if folder == ANYWHERE {
        return true;
    }
    let Some(rest) = path.strip_prefix(folder) else { return false };
    let lower = rest.to_ascii_lowercase();
    let hides = ESCAPED.into_iter().any(|escaped| lower.contains(escaped));
    // `..;` is a parent to some servers, and an empty part is none to others.
    let is_odd = rest.starts_with('/') || rest.contains("//") || rest.split('/').any(|part| part.starts_with(".."));
    !rest.is_empty() && !hides && !is_odd
}

#[cfg(test)]
mod tests;
