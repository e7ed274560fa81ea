//! The HTTP client requests exactly the URL that was checked, and the URL leads only to Recall.

use http::{Request, Uri};
use pipeline::{
    env::{Env, Reader},
    settings::RecallSettings,
};
use reqwest::Method;
use url::Url;

use crate::url_guard::UrlGuard;

/// Settings, and the hosts that downloads may come from with them.
struct Choice {
    settings: [(&'static str, &'static str); 2],
    /// The hosts that are allowed only over https and without a port, each with a folder.
    folders: &'static [(&'static str, &'static str)],
    /// The host of the base URL, with any port and path: over https, and perhaps over plain HTTP.
    base_url: Option<(&'static str, Plain)>,
    /// Whether `localhost` is allowed over plain HTTP.
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
        base_url: None,
        localhost: Plain::No,
    },
    Choice {
        settings: [("RECALL_REGION", "eu-central-1"), ("DOWNLOAD_HOSTS", "cdn.recall.ai")],
        folders: &FRANKFURT,
        base_url: None,
        localhost: Plain::No,
    },
    Choice {
        settings: [("RECALL_REGION", "us-west-2"), ("RECALL_BASE_URL", "http://127.0.0.1:4010")],
        folders: &OREGON,
        base_url: Some(("127.0.0.1", Plain::Yes)),
        localhost: Plain::No,
    },
    Choice {
        settings: [("RECALL_REGION", "us-west-2"), ("RECALL_BASE_URL", "https://proxy.example/")],
        folders: &OREGON,
        base_url: Some(("proxy.example", Plain::No)),
        localhost: Plain::No,
    },
    Choice {
        settings: [("RECALL_REGION", "us-west-2"), ("RECALL_BASE_URL", "https://us-west-2.recall.ai/")],
        folders: &OREGON,
        base_url: None,
        localhost: Plain::No,
    },
    Choice {
        settings: [("RECALL_BASE_URL", "http://127.0.0.1:4010"), ("DOWNLOAD_HOSTS", "localhost")],
        folders: &OREGON,
        base_url: Some(("127.0.0.1", Plain::Yes)),
        localhost: Plain::Yes,
    },
];

/// The first byte of the input chooses the settings. Then comes a URL, and on the next lines the URLs that it redirects
/// to.
pub fn url(input: &[u8]) {
    let Some((number, input)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(input) else { return };
    let choice = &CHOICES[usize::from(*number) % CHOICES.len()];
    // The region for settings that choose none.
    let region = [("RECALL_REGION", "us-west-2")];
    let settings = region.into_iter().chain(choice.settings).map(|(name, value)| (name.to_owned(), value.to_owned()));
    let env: Env = settings.collect();
    let mut reader = Reader::new(&env);
    let guard = UrlGuard::new(&RecallSettings::read(&mut reader));
    reader.finish(()).expect("good settings");

    let mut lines = text.split('\n');
    let mut at = match guard.parse(lines.next().unwrap_or_default()) {
        Ok(url) => url,
        Err(forbidden) => return check_reason(&forbidden.to_string()),
    };
    check_allowed(&at, choice);
    for location in lines {
        let Ok(next) = at.join(location) else { return };
        match guard.check(&next) {
            Ok(()) => check_allowed(&next, choice),
            Err(forbidden) => return check_reason(&forbidden.to_string()),
        }
        at = next;
    }
}

/// Checks a reason for the log. It may name the host, but not the path or the query.
fn check_reason(reason: &str) {
    assert!(reason.len() < 600 && !reason.contains(['\n', '?']), "{reason}");
}

/// Checks that a URL that passed is allowed, and that the HTTP client requests the same URL.
fn check_allowed(url: &Url, choice: &Choice) {
    // Split the URL by hand: between the slashes and the path is a host, perhaps with a port.
    let (scheme, rest) = url.as_str().split_once("://").expect("a scheme");
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    assert!(port.bytes().all(|byte| byte.is_ascii_digit()), "{url}");
    let is_base_url = choice.base_url.is_some_and(|(base_url, plain)| {
        base_url == host && (scheme == "https" || scheme == "http" && plain == Plain::Yes)
    });
    let is_local = choice.localhost == Plain::Yes && host == "localhost" && scheme == "http";
    let is_listed = choice.localhost == Plain::Yes && host == "localhost" && scheme == "https" && port.is_empty();
    if !is_base_url && !is_local && !is_listed {
        assert!(scheme == "https" && port.is_empty(), "{url}");
        let folder = choice.folders.iter().find(|(of, _)| *of == host).map(|(_, folder)| folder);
        let folder = folder.unwrap_or_else(|| panic!("{url} leads to {host}"));
        assert!(stays_below(path, folder), "{url} leads out of {folder}");
        assert!(host.parse::<std::net::IpAddr>().is_err(), "{url}");
    }

    // The HTTP client converts the text of the URL into its own type.
    let request = reqwest::Request::new(Method::GET, url.clone());
    assert_eq!(request.url(), url);
    assert!(request.headers().is_empty(), "{url} set headers");
    // The client may still refuse a URL that it cannot send. Then nothing is requested.
    if let Ok(sent) = Request::<reqwest::Body>::try_from(request) {
        check_same(sent.uri(), scheme, host, port);
    }
    if let Ok(sent) = url.as_str().parse::<Uri>() {
        check_same(&sent, scheme, host, port);
    }
}

/// Checks that the client's URL has the scheme, host and port that were checked.
fn check_same(sent: &Uri, scheme: &str, host: &str, port: &str) {
    assert_eq!(sent.scheme_str(), Some(scheme));
    assert_eq!(sent.host(), Some(host));
    assert_eq!(sent.port_u16().map(|port| port.to_string()).unwrap_or_default(), port);
    assert!(sent.authority().is_some_and(|authority| !authority.as_str().contains('@')), "{sent}");
}

/// Returns whether every server finds the path below the folder, however many times the server decodes escapes.
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
