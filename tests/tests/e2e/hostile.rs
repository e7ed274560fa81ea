//! Untrusted input is refused, and unreadable input is not lost.

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use local::{
    recall::{Meeting, random_webhook_secret},
    stack::{JOBS_TABLE, SECRET},
    wire::Service,
};
use pipeline::signature::HeaderFamily;
use serde_json::{Value, json};
use tests::{Pipeline, PipelineTest, now, pipeline_test, post, request};

const RECORDING: &str = "11111111-1111-4111-8111-111111111111";

fn done() -> Vec<u8> {
    json!({"event": "recording.done", "data": {"recording": {"id": RECORDING, "metadata": {}}}})
        .to_string()
        .into_bytes()
}

/// Checks that nothing was stored, sent, or requested.
async fn check_untouched(pipeline: &Pipeline) -> Result<()> {
    assert_eq!(pipeline.stack.dynamodb.items(JOBS_TABLE)?, Vec::<Value>::new());
    assert_eq!(pipeline.stack.s3.keys()?, Vec::<String>::new());
    assert_eq!(pipeline.dead_letters().await?.len(), 0);
    assert_eq!(pipeline.simulator().all_creates(), 0);
    Ok(())
}

fn logged(pipeline: &Pipeline, text: &str) -> usize {
    pipeline.stack.logs().iter().filter(|line| line.contains(text)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn unverified_deliveries_are_refused_with_a_reason() -> Result<()> {
    pipeline_test(async |pipeline| {
        let (simulator, url, body) = (pipeline.simulator(), pipeline.stack.function_url.url(), done());
        let good = simulator.sign(&body, now());
        let without =
            |name: &str| good.iter().filter(|(header, _)| !header.ends_with(name)).cloned().collect::<Vec<_>>();
        let with = |name: &str, value: &str| {
            let change = |(header, old): &(&'static str, String)| {
                (*header, if header.ends_with(name) { value.to_owned() } else { old.clone() })
            };
            good.iter().map(change).collect::<Vec<_>>()
        };
        for (headers, reason) in [
            (vec![], "no_signature_headers"),
            (without("id"), "malformed_headers"),
            (without("timestamp"), "malformed_headers"),
            (without("signature"), "malformed_headers"),
            (with("id", "msg_other"), "wrong_signature"),
            (with("timestamp", &(now() - 1).to_string()), "wrong_signature"),
            (with("timestamp", "soon"), "malformed_timestamp"),
            (with("signature", "v1,bm90IGEgc2lnbmF0dXJl"), "wrong_signature"),
            (with("signature", "v1a,bm90IGEgc2lnbmF0dXJl"), "no_v1_signature"),
            (simulator.sign(&body, now() - 302), "stale"),
            (simulator.sign(&body, now() + 302), "from_the_future"),
            (simulator.sign(b"another body", now()), "wrong_signature"),
        ] {
            let before = logged(&pipeline, reason);
            let reply = post(url, &headers, &body).await?;
            assert_eq!(reply.status, 401, "{reason}: {reply:?}");
            assert!(reply.body["error"].is_string(), "{reply:?}");
            assert!(logged(&pipeline, reason) > before, "{reason} is not in the log");
        }
        check_untouched(&pipeline).await?;
        Ok(())
    })
    .await
}

/// Each of these once ended the process, even without a signature.
#[tokio::test(flavor = "multi_thread")]
async fn odd_urls_and_headers_do_not_end_the_process() -> Result<()> {
    pipeline_test(async |pipeline| {
        let body = json!({"event": "bot.done", "data": {}}).to_string().into_bytes();
        let header = |name: &'static str, value: &str| (name, value.to_owned());
        for (target, more) in [
            ("?q=a+b", vec![]),
            ("?q=\u{e9}", vec![]),
            ("?a%20b=%C3%A9&%zz", vec![]),
            ("a%20b//%2e%2e/?", vec![]),
            ("", vec![header("x-forwarded-proto", "x y")]),
            ("", vec![header("x-forwarded-proto", "https"), header("x-forwarded-proto", "https")]),
            ("", vec![header("x-forwarded-proto", "")]),
            ("", vec![header("host", "a b")]),
            ("", vec![header("host", "[")]),
            ("", vec![header("cookie", "a=b; \"c"), header("x-amzn-trace-id", "a b")]),
        ] {
            let url = format!("{}{target}", pipeline.stack.function_url.url());
            let reply = post(&url, &more, &body).await?;
            assert_eq!(reply.status, 401, "{target} {more:?}: {reply:?}");
            let signed: Vec<_> = pipeline.simulator().sign(&body, now()).into_iter().chain(more).collect();
            let reply = post(&url, &signed, &body).await?;
            assert_eq!((reply.status, &reply.body["outcome"]), (200, &json!("ignored")), "{target}: {reply:?}");
        }
        let webhook = &pipeline.stack.webhook;
        assert_eq!(webhook.pids().len(), webhook.processes_started(), "every started process is alive");
        check_untouched(&pipeline).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_url_may_have_a_plus_in_its_query() -> Result<()> {
    pipeline_test(async |pipeline| {
        let url = format!("{}hook?from=recall+ai&key=a%2Bb", pipeline.stack.function_url.url());
        pipeline.simulator().set_webhook_url(Some(url));
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.ends_stored(recording).await?;
        assert!(pipeline.simulator().deliveries().iter().all(|delivery| delivery.attempt == 1 && delivery.succeeded()));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_long_bodies_are_refused() -> Result<()> {
    pipeline_test(async |pipeline| {
        let url = pipeline.stack.function_url.url();
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let headers = pipeline.simulator().sign(b"", now());
            assert_eq!(request(method, url, &headers, b"").await?.status, 405, "{method}");
        }
        let long = vec![b' '; (1 << 20) + 1];
        assert_eq!(pipeline.deliver(&long).await?.status, 413);
        check_untouched(&pipeline).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_signed_bodies_are_parked_whole() -> Result<()> {
    pipeline_test(async |pipeline| {
        let bodies: Vec<Vec<u8>> = vec![
            b"not JSON".to_vec(),
            b"{\"event\":".to_vec(),
            b"[]".to_vec(),
            b"\xff\xfe\x00 bytes".to_vec(),
            // SQS does not accept these characters, so the bodies are encoded.
            "no character: \u{FFFF}".as_bytes().to_vec(),
            b"[\"\x0b\x1f\"]".to_vec(),
            json!({"event": 5}).to_string().into_bytes(),
            json!({"event": "recording.done"}).to_string().into_bytes(),
            json!({"event": "recording.done", "data": {"recording": {"id": "../../etc/passwd"}}})
                .to_string()
                .into_bytes(),
            json!({"event": "transcript.done", "data": {"recording": {"id": RECORDING}}}).to_string().into_bytes(),
        ];
        for body in &bodies {
            let reply = pipeline.deliver(body).await?;
            assert_eq!((reply.status, &reply.body), (200, &json!({"outcome": "parked"})), "{}", body.escape_ascii());
        }
        let parked = pipeline.dead_letters().await?;
        assert_eq!(parked.len(), bodies.len());
        for body in bodies {
            let found = parked.iter().any(|message| match message.attributes["encoding"].value.as_str() {
                "text" => message.body.as_bytes() == body,
                _ => STANDARD.decode(&message.body).is_ok_and(|decoded| decoded == body),
            });
            assert!(found, "{} is not on the dead-letter queue", body.escape_ascii());
        }
        assert!(parked.iter().all(|message| message.attributes["reason"].value.contains("error at line")));
        assert_eq!(pipeline.stack.dynamodb.items(JOBS_TABLE)?, Vec::<Value>::new());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_body_of_the_largest_size_is_complete() -> Result<()> {
    pipeline_test(async |pipeline| {
        let body = "é".repeat((1 << 19) - 10);
        assert_eq!(pipeline.deliver(body.as_bytes()).await?.body["outcome"], "parked");
        let mut parts = pipeline.dead_letters().await?;
        parts.sort_by_key(|message| message.attributes["part"].value.clone());
        assert_eq!(parts.iter().map(|message| message.body.as_str()).collect::<String>(), body);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_events_are_accepted_and_ignored() -> Result<()> {
    pipeline_test(async |pipeline| {
        for event in ["bot.done", "recording.processing", "recording.paused", "sdk_upload.complete", "something.new"] {
            let reply = pipeline.deliver(json!({"event": event, "data": [1]}).to_string().as_bytes()).await?;
            assert_eq!((reply.status, &reply.body), (200, &json!({"outcome": "ignored"})), "{event}");
        }
        check_untouched(&pipeline).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_header_family_and_a_second_secret_are_accepted() -> Result<()> {
    let test = PipelineTest::with(|_, simulator| {
        simulator.header_family = HeaderFamily::Svix;
        simulator.webhook_secrets.insert(0, random_webhook_secret());
    });
    test.run(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_base64_is_verified_over_its_bytes() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        let body = json!({"event": "recording.done", "data": {"recording": {"id": recording, "metadata": {"ä": 1}}}})
            .to_string();
        let mut headers = vec![("content-type", "application/octet-stream".to_owned())];
        headers.extend(pipeline.simulator().sign(body.as_bytes(), now()));
        let reply = request("POST", pipeline.stack.function_url.url(), &headers, body.as_bytes()).await?;
        assert_eq!((reply.status, &reply.body), (200, &json!({"outcome": "applied"})));
        pipeline.reaches(recording, "stored").await?;
        Ok(())
    })
    .await
}

/// While no signature can be verified, unsigned requests are still refused, and they cause no look-up of the secret.
#[tokio::test(flavor = "multi_thread")]
async fn unsigned_requests_are_refused_without_a_usable_secret() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.stack.secrets.put(SECRET, &json!({"api_key": "", "webhook_secrets": ["whsec_***"]}));
        let (url, looks) =
            (pipeline.stack.function_url.url(), || pipeline.stack.wire.count(Service::Secrets, "GetSecretValue"));
        for _ in 0..3 {
            assert_eq!(post(url, &[], &done()).await?.status, 401);
        }
        let before = looks();
        for _ in 0..20 {
            assert_eq!(post(url, &[], &done()).await?.status, 401);
            assert_eq!(pipeline.deliver(&done()).await?.status, 503);
        }
        // One look-up at the start, and then at most one in two seconds.
        assert!(looks() - before <= 3, "{} looks", looks() - before);
        check_untouched(&pipeline).await?;
        Ok(())
    })
    .await
}

/// The secret in the dashboard and ours are both replaced: the warm process learns of it by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_needs_no_new_deployment() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        let (secret, key) = (random_webhook_secret(), local::recall::random_api_key());
        pipeline.stack.secrets.put(SECRET, &json!({"api_key": key, "webhook_secrets": [secret]}));
        pipeline.simulator().set_webhook_secrets(&[secret])?;
        pipeline.simulator().set_api_key(key);
        let recording = pipeline.simulator().play(Meeting::short(2));
        pipeline.ends_stored(recording).await?;
        assert_eq!(logged(&pipeline, "webhook.refused"), 0);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_any_kind_and_size_is_accepted() -> Result<()> {
    pipeline_test(async |pipeline| {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        let long = format!("\"{}\"", "x".repeat(900_000));
        for metadata in ["null", "7", "\"text\"", "[1, [2]]", "{\"a\": {\"b\": null}}", &deep, &long] {
            let recording = pipeline.simulator().add_recording(Meeting::short(1));
            let body = format!(
                r#"{{"event": "recording.done", "new": 1, "data": {{"bot": null, "data": {{"code": "new_code"}},
               "recording": {{"id": "{recording}", "metadata": {metadata}, "new": {{}}}}}}}}"#
            );
            let reply = pipeline.deliver(body.as_bytes()).await?;
            assert_eq!(reply.body["outcome"], "applied", "{metadata:.40}: {reply:?}");
            pipeline.reaches(recording, "stored").await.context("with odd metadata")?;
        }
        pipeline.settles().await?;
        Ok(())
    })
    .await
}
