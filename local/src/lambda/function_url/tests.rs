use super::*;

fn event(request: http::request::Builder, body: &'static [u8]) -> Result<Value> {
    let (parts, ()) = request.body(())?.into_parts();
    Ok(payload(&parts, &Bytes::from_static(body), OffsetDateTime::from_unix_timestamp(1_773_342_238)?))
}

#[test]
fn a_request_becomes_payload_format_2() -> Result<()> {
    let request = Request::builder()
        .method("POST")
        .uri("/hook/a%20b?x=1&x=2&y=%2F&z=a+b%2B%20")
        .header("Host", "127.0.0.1:9000")
        .header("User-Agent", "Svix")
        .header("Content-Type", "application/json")
        .header("Webhook-Signature", "v1,a")
        .header("webhook-signature", "v1,b")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Proto", "a b")
        .header("Cookie", "a=1; b=2");
    let mut event = event(request, br#"{"event":"x"}"#)?;
    event["requestContext"]["requestId"] = Value::Null;
    let expected = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/hook/a%20b",
        "rawQueryString": "x=1&x=2&y=%2F&z=a b%2B%20",
        "queryStringParameters": {"x": "1,2", "y": "/", "z": "a b+ "},
        "cookies": ["a=1", "b=2"],
        "headers": {
            "host": "127.0.0.1:9000",
            "user-agent": "Svix",
            "content-type": "application/json",
            "webhook-signature": "v1,a,v1,b",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https,a b",
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": "127.0.0.1:9000",
            "domainPrefix": "local",
            "http": {
                "method": "POST",
                "path": "/hook/a%20b",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "Svix",
            },
            "requestId": null,
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2026:19:03:58 +0000",
            "timeEpoch": 1_773_342_238_000_i64,
        },
        "body": r#"{"event":"x"}"#,
        "isBase64Encoded": false,
    });
    assert_eq!(event, expected);
    Ok(())
}

#[test]
fn a_body_that_is_no_text_arrives_in_base64() -> Result<()> {
    for (content_type, body, encoded) in [
        (Some("application/json; charset=utf-8"), &b"{}"[..], false),
        (Some("application/vnd.x+json"), b"{}", false),
        (Some("text/plain"), b"x", false),
        (Some("application/json"), b"\xff", true),
        (Some("application/x-www-form-urlencoded"), b"a=1", true),
        (Some("application/octet-stream"), b"x", true),
        (None, b"{}", true),
    ] {
        let mut request = Request::builder().method("POST").uri("/");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let event = event(request, body)?;
        assert_eq!(event["isBase64Encoded"], encoded, "{content_type:?}");
        let expected = if encoded { BASE64_STANDARD.encode(body) } else { String::from_utf8(body.to_vec())? };
        assert_eq!(event["body"], expected, "{content_type:?}");
    }
    assert_eq!(event(Request::builder().uri("/"), b"")?.get("body"), None);
    Ok(())
}

#[tokio::test]
async fn a_result_becomes_a_response() -> Result<()> {
    let result = json!({
        "statusCode": 503, "headers": {"Retry-After": "5", "content-length": "99"}, "multiValueHeaders": {},
        "body": BASE64_STANDARD.encode("later"), "isBase64Encoded": true, "cookies": ["a=1"],
    });
    let response = response(result.to_string().as_bytes())?;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(response.headers()["set-cookie"], "a=1");
    assert_eq!(response.headers().get("content-length"), None);
    assert_eq!(to_bytes(response.into_body(), 100).await?, "later");
    Ok(())
}

#[tokio::test]
async fn a_result_without_a_status_is_the_body() -> Result<()> {
    let answered = response(br#"{"ok":true}"#)?;
    assert_eq!(
        (answered.status(), to_bytes(answered.into_body(), 100).await?),
        (StatusCode::OK, r#"{"ok":true}"#.into())
    );
    assert!(response(br#"{"statusCode": 7}"#).is_err());
    assert!(response(b"no JSON").is_err());
    Ok(())
}
