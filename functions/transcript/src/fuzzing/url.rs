//! What is requested is what was checked, and it leads to nobody but Recall.

use http::{Request, Uri};
use reqwest::Method;
use shared::{
    env::{Env, Reader},
    settings::RecallSettings,
};
use url::Url;

use crate::guard::Guard;

const OREGON: &str = "us-west-2-recallai-production-bot-data.s3.amazonaws.com";
const FRANKFURT: &str = "eu-central-1-recallai-production-bot-data.s3.amazonaws.com";
/// Settings, and hosts.
type Choice = ([(&'static str, &'static str); 2], &'static [&'static str]);

/// What an operator sets, and the hosts that downloads may then come from. The last two have a base URL of their own.
const CHOICES: [Choice; 4] = [
    ([("RECALL_REGION", "us-west-2"), ("DOWNLOAD_HOSTS", "")], &[OREGON]),
    ([("RECALL_REGION", "eu-central-1"), ("DOWNLOAD_HOSTS", "cdn.recall.ai")], &[FRANKFURT, "cdn.recall.ai"]),
    ([("RECALL_REGION", "us-west-2"), ("RECALL_BASE_URL", "http://127.0.0.1:4010")], &[OREGON, "127.0.0.1"]),
    ([("RECALL_REGION", "us-west-2"), ("RECALL_BASE_URL", "https://proxy.example/")], &[OREGON, "proxy.example"]),
];

/// The first byte chooses the settings; then a URL, and on further lines where it redirects to.
pub fn url(input: &[u8]) {
    let Some((choice, input)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (settings, hosts) = CHOICES[usize::from(choice % 4)];
    let own_host = hosts.last().copied().filter(|_| choice % 4 > 1);
    let env = Env::from_pairs(settings);
    let mut reader = Reader::new(&env);
    let guard = Guard::new(&RecallSettings::read(&mut reader));
    reader.finish(()).expect("good settings");

    let mut lines = text.split('\n');
    let mut at = match guard.parse(lines.next().unwrap_or_default()) {
        Ok(url) => url,
        Err(forbidden) => return bounded(&forbidden.to_string()),
    };
    allowed(&at, hosts, own_host);
    for location in lines {
        let Ok(next) = at.join(location) else { return };
        match guard.check(&next) {
            Ok(()) => allowed(&next, hosts, own_host),
            Err(forbidden) => return bounded(&forbidden.to_string()),
        }
        at = next;
    }
}

/// The reason goes to the log. At the most it names a host, never the path or the query.
fn bounded(reason: &str) {
    assert!(reason.len() < 600 && !reason.contains(['\n', '?']), "{reason}");
}

fn allowed(url: &Url, hosts: &[&str], own_host: Option<&str>) {
    // By hand: what is between the slashes and the path is a host, and a port only at the operator's own.
    let (scheme, rest) = url.as_str().split_once("://").expect("a scheme");
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    assert!(hosts.contains(&host), "{url} leads to {host}");
    assert!(port.bytes().all(|byte| byte.is_ascii_digit()), "{url}");
    let own = own_host == Some(host);
    assert!(scheme == "https" || own && scheme == "http", "{url}");
    assert!(port.is_empty() || own, "{url}");
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    assert!(!is_address || own, "{url}");

    // As the HTTP client reads what it is given: it is the text of the URL that goes into its own type.
    let request = reqwest::Request::new(Method::GET, url.clone());
    assert_eq!(request.url(), url);
    assert!(request.headers().is_empty(), "{url} made headers");
    // It can still refuse a URL that it cannot send; then nothing is requested.
    if let Ok(sent) = Request::<reqwest::Body>::try_from(request) {
        as_checked(sent.uri(), scheme, host, port);
    }
    if let Ok(sent) = url.as_str().parse::<Uri>() {
        as_checked(&sent, scheme, host, port);
    }
}

fn as_checked(sent: &Uri, scheme: &str, host: &str, port: &str) {
    assert_eq!(sent.scheme_str(), Some(scheme));
    assert_eq!(sent.host(), Some(host));
    assert_eq!(sent.port_u16().map(|port| port.to_string()).unwrap_or_default(), port);
    assert!(sent.authority().is_some_and(|authority| !authority.as_str().contains('@')), "{sent}");
}
