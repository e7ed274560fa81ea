//! Access control: only the page itself may send requests, under this machine's own name, and no other web site.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

/// What a response may load and do, unless its handler says otherwise: its own files, and no inline scripts.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    // No other site may embed or load the page, not even as an image or a script.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Refuses requests from elsewhere, and adds the security headers to responses.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let mut response = match refusal(request.method(), request.headers()) {
        None => next.run(request).await,
        Some(why) => (StatusCode::FORBIDDEN, why).into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Returns why this request is refused, if it is.
fn refusal(method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    // A foreign name may lead here too (DNS rebinding). Its site would then count as the same origin.
    let Some(host) = only(headers, header::HOST).filter(|host| is_here(host)) else {
        return Some("This page answers only under the names 127.0.0.1 and localhost.\n");
    };
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    // Browsers send the origin with every changing request, and no site can forge it.
    let same = only(headers, header::ORIGIN).is_some_and(|origin| origin == format!("http://{host}"));
    let site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    (!same || !site).then_some("Only the page itself may send this request.\n")
}

/// Returns the header's value, unless there are several.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Accepts `127.0.0.1` or `localhost` with any port, because the port may be forwarded from elsewhere.
pub(crate) fn is_here(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "80"));
    (name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost")) && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: Method, headers: &[(&str, &str)]) -> bool {
        let name = |name: &str| HeaderName::try_from(name.to_owned()).expect("a name");
        let value = |value: &str| HeaderValue::from_str(value).expect("a value");
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(this, that)| {
            map.append(name(this), value(that));
        });
        refusal(&method, &map).is_some()
    }

    #[test]
    fn requests_for_other_hosts_are_refused() {
        for host in ["127.0.0.1:8765", "localhost:8765", "LocalHost:1", "127.0.0.1", "localhost"] {
            assert!(!refused(Method::GET, &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8765",
            "127.0.0.1.evil.example:8765",
            "localhost.evil.example",
            "0.0.0.0:8765",
            "[::1]:8765",
            "127.0.0.1:8765@evil.example",
            "127.0.0.1:",
            "",
        ] {
            assert!(refused(Method::GET, &[("host", host)]), "{host}");
        }
        assert!(refused(Method::GET, &[]));
        assert!(refused(Method::GET, &[("host", "127.0.0.1"), ("host", "evil.example")]));
    }

    #[test]
    fn changes_from_other_origins_are_refused() {
        let here = ("host", "127.0.0.1:8765");
        let own = ("origin", "http://127.0.0.1:8765");
        assert!(!refused(Method::POST, &[here, own]));
        assert!(!refused(Method::POST, &[here, own, ("sec-fetch-site", "same-origin")]));
        assert!(refused(Method::POST, &[here]));
        assert!(refused(Method::POST, &[here, own, ("sec-fetch-site", "cross-site")]));
        assert!(refused(Method::POST, &[here, own, own]));
        for origin in ["null", "http://evil.example", "http://127.0.0.1:9999", "https://127.0.0.1:8765"] {
            assert!(refused(Method::POST, &[here, ("origin", origin)]), "{origin}");
        }
        assert!(refused(Method::DELETE, &[here]));
    }
}
