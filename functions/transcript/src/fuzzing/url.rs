//! What is requested is what was checked, and it leads to nobody but Recall.

use http::{Request, Uri};
use pipeline::{
    env::{Env, Reader},
    settings::RecallSettings,
};
use reqwest::Method;
use url::Url;

use crate::url_guard::UrlGuard;

/// Settings, and where downloads may then come from.
struct Choice {
    settings: [(&'static str, &'static str); 2],
    /// Hosts that are asked over https alone, without a port, each with a folder.
    folders: &'static [(&'static str, &'static str)],
    /// A host with any port and path: over https, and perhaps over plain HTTP.
    own: Option<(&'static str, Plain)>,
    /// Whether `localhost` may be asked over plain HTTP.
    localhost: Plain,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Plain {
    Yes,
    No,
}

const OREGON: [(&str, &str); 4] = [
    ("us-west-2-recallai-production-bot-data.s3.amazonaws.com", "/"),
    ("us-west-2-recallai-production-bot-data.s3.us-west-2.amazonaws.com", "/"),
    ("s3.us-west-2.amazonaws.com", "/us-west-2-recallai-production-bot-data/"),
    ("us-west-2.recall.ai", "/api/v1/download/"),
];
const FRANKFURT: [(&str, &str); 5] = [
    ("eu-central-1-recallai-production-bot-data.s3.amazonaws.com", "/"),
    ("eu-central-1-recallai-production-bot-data.s3.eu-central-1.amazonaws.com", "/"),
    ("s3.eu-central-1.amazonaws.com", "/eu-central-1-recallai-production-bot-data/"),
    ("eu-central-1.recall.ai", "/api/v1/download/"),
    ("cdn.recall.ai", "/"),
];

const CHOICES: [Choice; 6] = [
    Choice {
        settings: [("RECALL_REGION", "us-west-2"), ("DOWNLOAD_HOSTS", "")],
        folders: &OREGON,
        own: None,
        localhost: Plain::No,
    },
    Choice {
        settings: [("RECALL_REGION", "eu-central-1"), ("DOWNLOAD_HOSTS", "cdn.recall.ai")],
        folders: &FRANKFURT,
        own: None,
        localhost: Plain::No,
    },
    Choice {
        settings: [("RECALL_REGION", "us-west-2"), ("RECALL_BASE_URL", "http://127.0.0.1:4010")],
        folders: &OREGON,
        own: Some(("127.0.0.1", Plain::Yes)),
        localhost: Plain::No,
    },
    Choice {
        settings: [("RECALL_REGION", "us-west-2"), ("RECALL_BASE_URL", "https://proxy.example/")],
        folders: &OREGON,
        own: Some(("proxy.example", Plain::No)),
        localhost: Plain::No,
    },
    Choice {
        settings: [("RECALL_REGION", "us-west-2"), ("RECALL_BASE_URL", "https://us-west-2.recall.ai/")],
        folders: &OREGON,
        own: None,
        localhost: Plain::No,
    },
    Choice {
        settings: [("RECALL_BASE_URL", "http://127.0.0.1:4010"), ("DOWNLOAD_HOSTS", "localhost")],
        folders: &OREGON,
        own: Some(("127.0.0.1", Plain::Yes)),
        localhost: Plain::Yes,
    },
];

/// The first byte chooses the settings; then a URL, and on further lines where it redirects to.
pub fn url(input: &[u8]) {
    let Some((number, input)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(input) else { return };
    let choice = &CHOICES[usize::from(*number) % CHOICES.len()];
    // Where no region is chosen, it is this one.
    let region = [("RECALL_REGION", "us-west-2")];
    let settings = region.into_iter().chain(choice.settings).map(|(name, value)| (name.to_owned(), value.to_owned()));
    let env: Env = settings.collect();
    let mut reader = Reader::new(&env);
    let guard = UrlGuard::new(&RecallSettings::read(&mut reader));
    reader.finish(()).expect("good settings");

    let mut lines = text.split('\n');
    let mut at = match guard.parse(lines.next().unwrap_or_default()) {
        Ok(url) => url,
        Err(forbidden) => return bounded(&forbidden.to_string()),
    };
    allowed(&at, choice);
    for location in lines {
        let Ok(next) = at.join(location) else { return };
        match guard.check(&next) {
            Ok(()) => allowed(&next, choice),
            Err(forbidden) => return bounded(&forbidden.to_string()),
        }
        at = next;
    }
}

/// The reason goes to the log. At the most it names a host, never the path or the query.
fn bounded(reason: &str) {
    assert!(reason.len() < 600 && !reason.contains(['\n', '?']), "{reason}");
}

fn allowed(url: &Url, choice: &Choice) {
    // By hand: what is between the slashes and the path is a host, and a port.
    let (scheme, rest) = url.as_str().split_once("://").expect("a scheme");
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    assert!(port.bytes().all(|byte| byte.is_ascii_digit()), "{url}");
    let is_own = choice
        .own
        .is_some_and(|(own, plain)| own == host && (scheme == "https" || scheme == "http" && plain == Plain::Yes));
    let is_local = choice.localhost == Plain::Yes && host == "localhost" && scheme == "http";
    let is_listed = choice.localhost == Plain::Yes && host == "localhost" && scheme == "https" && port.is_empty();
    if !is_own && !is_local && !is_listed {
        assert!(scheme == "https" && port.is_empty(), "{url}");
        let folder = choice.folders.iter().find(|(of, _)| *of == host).map(|(_, folder)| folder);
        let folder = folder.unwrap_or_else(|| panic!("{url} leads to {host}"));
        assert!(stays_below(path, folder), "{url} leads out of {folder}");
        assert!(host.parse::<std::net::IpAddr>().is_err(), "{url}");
    }

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

/// Whether it leads below the folder to every server, however often that reads what is escaped.
fn stays_below(path: &str, folder: &str) -> bool {
    let mut path = path.as_bytes().to_vec();
    loop {
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in path.split(|byte| matches!(byte, b'/' | b'\\')).skip(1) {
            match part {
                b".." => drop(parts.pop()),
                b"." => {}
                part => parts.push(part),
            }
        }
        let resolved = [&b"/"[..], &parts.join(&b'/')].concat();
        if !resolved.starts_with(folder.as_bytes()) {
            return false;
        }
        let plain = unescaped(&path);
        if plain == path {
            return true;
        }
        path = plain;
    }
}

fn unescaped(path: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut plain = Vec::new();
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.first().and_then(digit).zip(after.get(1).and_then(digit)).filter(|_| *byte == b'%');
        let (byte, read) = digits.map_or((*byte, 1), |(high, low)| (16 * high + low, 3));
        plain.push(byte);
        rest = &rest[read..];
    }
    plain
}
