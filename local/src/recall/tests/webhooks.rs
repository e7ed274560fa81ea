//! Signatures, deliveries, retries, and their faults.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
};
use pipeline::signature::{self, HeaderFamily};
use serde_json::{Value, json};

use super::{Lab, id_of, soon};
use crate::{
    recall::{Meeting, Order, Simulator, SimulatorConfig, Status, Target, WebhookFault},
    wire::{Fault, Server, Service, When, Wire, listen, lock, serve},
};

/// The webhooks that a receiver got, in order.
type Inbox = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

async fn receiver(wire: &Wire, recall: &Simulator) -> Result<(Inbox, Server)> {
    let inbox = Inbox::default();
    let (listener, port) = listen(0).await?;
    let to = inbox.clone();
    let router = Router::new().fallback(async move |headers: HeaderMap, body: Bytes| {
        lock(&to).push((headers, serde_json::from_slice(&body).unwrap_or_default()));
        StatusCode::OK
    });
    recall.set_webhook_url(Some(format!("http://127.0.0.1:{port}/webhook")));
    Ok((inbox, serve(wire, Service::Webhook, listener, router)))
}

fn events(inbox: &Inbox) -> Vec<String> {
    lock(inbox).iter().map(|(_, body)| body["event"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_published_vector() -> Result<()> {
    let key = signature::key("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").context("a key")?;
    let body = br#"{"email":"test@example.com","username":"test_user"}"#;
    let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    let headers = signature::headers(&[key], HeaderFamily::Svix, id, 1_649_367_553, body);
    let expected = [
        ("svix-id", id),
        ("svix-timestamp", "1649367553"),
        ("svix-signature", "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
    Ok(())
}

#[tokio::test]
async fn an_example_names_unknown_ids() -> Result<()> {
    let lab = Lab::quick().await?;
    let (inbox, _server) = receiver(&lab.wire, &lab.recall).await?;
    for event in ["recording.done", "transcript.done"] {
        let recording = lab.recall.send_example(event);
        soon(lab.recall.wait_for_delivery(recording, event)).await?;
        assert_eq!(lab.get(&format!("/api/v1/recording/{recording}/")).await?.status, StatusCode::NOT_FOUND);
        assert_eq!(lab.create(recording, None).await?.status, StatusCode::NOT_FOUND);
    }
    let transcript = lock(&inbox)[1].1["data"]["transcript"]["id"].clone();
    let path = format!("/api/v1/transcript/{}/", transcript.as_str().unwrap_or_default());
    assert_eq!(lab.get(&path).await?.status, StatusCode::NOT_FOUND);
    assert_eq!(events(&inbox), ["recording.done", "transcript.done"]);
    Ok(())
}

#[tokio::test]
async fn the_events_of_a_recording() -> Result<()> {
    let lab = Lab::quick().await?;
    let (inbox, _server) = receiver(&lab.wire, &lab.recall).await?;
    let recording = lab.recall.play(Meeting::silent().metadata("a", "1").bot_metadata("b", "2"));
    soon(lab.recall.wait_for_delivery(recording, "recording.done")).await?;
    let bot = lab.recall.recording(recording).and_then(|found| found.bot_id);
    {
        let inbox = lock(&inbox);
        let (headers, body) = &inbox[0];
        let bot = json!({"id": bot, "metadata": {"b": "2"}});
        assert_eq!(body["data"]["bot"], bot);
        assert_eq!(body["data"]["recording"], json!({"id": recording, "metadata": {"a": "1"}}));
        assert_eq!((&body["data"]["data"]["code"], &body["data"]["data"]["sub_code"]), (&json!("done"), &Value::Null));
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            assert!(headers.contains_key(name), "{name}");
        }
    }
    let transcript = lab.transcribe(recording).await?;
    let delivery = soon(lab.recall.wait_for_delivery(recording, "transcript.done")).await?;
    assert_eq!((delivery.attempt, delivery.transcript_id), (1, Some(transcript)));
    lab.recall.delete_recording(recording);
    soon(lab.recall.wait_until_delivered()).await?;
    let mut seen = events(&inbox);
    seen.sort();
    let expected =
        ["recording.deleted", "recording.done", "transcript.deleted", "transcript.done", "transcript.processing"];
    assert_eq!(seen, expected);
    let failed = lab.recall.recording_failed(Meeting::silent().without_bot(), Some("internal_error"));
    soon(lab.recall.wait_for_delivery(failed, "recording.failed")).await?;
    let body = lock(&inbox).last().map(|(_, body)| body.clone()).unwrap_or_default();
    assert_eq!(
        (&body["data"]["bot"], &body["data"]["data"]["error"]["code"]),
        (&Value::Null, &json!("internal_error"))
    );
    Ok(())
}

#[tokio::test]
async fn every_secret_signs() -> Result<()> {
    let lab = Lab::quick().await?;
    let secrets = [crate::recall::random_webhook_secret(), crate::recall::random_webhook_secret()];
    lab.recall.set_webhook_secrets(&secrets)?;
    let headers = lab.recall.sign(b"{}", 1_700_000_000);
    let signatures: Vec<&str> = headers[2].1.split(' ').collect();
    for (secret, given) in secrets.iter().zip(signatures) {
        let own = signature::headers(
            &[signature::key(secret).context("a key")?],
            HeaderFamily::Webhook,
            &headers[0].1,
            1_700_000_000,
            b"{}",
        );
        assert_eq!(own[2].1, given);
    }
    lab.recall.set_webhook_secrets(&[])?;
    assert!(lab.recall.sign(b"{}", 1_700_000_000).is_empty());
    assert!(lab.recall.set_webhook_secrets(&["secret".to_owned()]).is_err());
    Ok(())
}

#[tokio::test]
async fn eight_attempts_over_a_day() -> Result<()> {
    // The whole schedule of 27 h 35 min takes 99 ms here.
    let lab = Lab::start(SimulatorConfig { speed: 1_000_000.0, ..SimulatorConfig::default() }).await?;
    let (inbox, _server) = receiver(&lab.wire, &lab.recall).await?;
    lab.wire.inject(Service::Webhook, "", When::Before, Fault::Answer { status: 302, retry_after: None }, 20);
    let recording = lab.recall.play(Meeting::silent());
    soon(lab.recall.wait_until_delivered()).await?;
    let tried = lab.recall.deliveries();
    let attempts: Vec<usize> = tried.iter().map(|delivery| delivery.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(tried.iter().all(|one| one.message_id == tried[0].message_id && one.status == Some(302)));
    // Attempt 8 comes 10 simulated hours, which are 36 ms, after attempt 7 failed.
    assert!(tried[7].at - tried[6].at >= Duration::from_millis(36));
    lab.wire.calm();
    assert!(lab.recall.redeliver(&tried[0].message_id));
    assert!(soon(lab.recall.wait_for_delivery(recording, "recording.done")).await?.succeeded());
    assert_eq!(events(&inbox), ["recording.done"]);
    assert_eq!(lab.recall.redeliver_all(recording), 1);
    assert!(!lab.recall.redeliver("msg_unknown"));
    Ok(())
}

#[tokio::test]
async fn a_slow_receiver_has_failed() -> Result<()> {
    let lab = Lab::with_limits(|limits| limits.webhook_timeout = Duration::from_millis(20)).await?;
    let (_inbox, _server) = receiver(&lab.wire, &lab.recall).await?;
    lab.wire.inject(Service::Webhook, "", When::Before, Fault::Hold, 1);
    lab.recall.play(Meeting::silent());
    assert_eq!(soon(lab.recall.wait_for_deliveries(1)).await?[0].status, None);
    Ok(())
}

#[tokio::test]
async fn events_are_lost_doubled_and_reordered() -> Result<()> {
    let lab = Lab::quick().await?;
    let (inbox, _server) = receiver(&lab.wire, &lab.recall).await?;
    let faults = lab.recall.faults();
    faults.webhook("recording.done", 1, WebhookFault::Dropped);
    let recording = lab.recall.play(Meeting::silent());
    faults.webhook("recording.done", 1, WebhookFault::Copies(3));
    lab.recall.play(Meeting::silent());
    soon(lab.recall.wait_until_delivered()).await?;
    assert_eq!((events(&inbox).len(), lab.recall.messages().len()), (3, 2));
    lock(&inbox).clear();

    faults.webhook("transcript.", 2, WebhookFault::Held);
    lab.transcribe(recording).await?;
    soon(lab.recall.wait_for_held(2)).await?;
    assert!(events(&inbox).is_empty());
    soon(lab.recall.release_webhooks(Order::Reversed)).await?;
    assert_eq!(events(&inbox), ["transcript.done", "transcript.processing"]);

    lab.recall.set_webhook_url(None);
    lab.recall.play(Meeting::silent());
    soon(lab.recall.wait_until_delivered()).await?;
    assert_eq!(events(&inbox).len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_fault_strikes_the_recording_it_is_for() -> Result<()> {
    let lab = Lab::quick().await?;
    let (_inbox, _server) = receiver(&lab.wire, &lab.recall).await?;
    let [lost, other] = [0; 2].map(|_| lab.recall.add_recording(Meeting::silent()));
    lab.recall.faults().webhook_of(Target::recording(lost).times(1), "recording.done", WebhookFault::Dropped);
    for recording in [other, lost, lost] {
        lab.recall.announce(recording);
    }
    soon(lab.recall.wait_until_delivered()).await?;
    let mut came: Vec<_> = lab.recall.deliveries().iter().filter_map(|one| one.recording_id).collect();
    came.sort_by_key(|id| *id == lost);
    assert_eq!(came, [other, lost]);
    Ok(())
}

#[tokio::test]
async fn done_overtakes_the_answer() -> Result<()> {
    let lab = Lab::quick().await?;
    let (_inbox, _server) = receiver(&lab.wire, &lab.recall).await?;
    let recording = lab.recall.add_recording(Meeting::silent());
    lab.recall.faults().done_before_answer(Target::next(1));
    let answer = lab.create(recording, None).await?.json()?;
    assert_eq!(answer["status"]["code"], "processing");
    let id = id_of(&answer)?;
    assert_eq!(lab.recall.transcript(id).map(|found| found.status), Some(Status::Done));
    assert!(lab.recall.deliveries().iter().any(|one| one.event == "transcript.done" && one.succeeded()));
    Ok(())
}

#[tokio::test]
async fn custom_events_can_be_sent() -> Result<()> {
    let lab = Lab::quick().await?;
    let (inbox, _server) = receiver(&lab.wire, &lab.recall).await?;
    lab.recall.set_header_family(HeaderFamily::Svix);
    let id = lab.recall.send_event(json!({"event": "bot.done", "data": {}}));
    soon(lab.recall.wait_until_delivered()).await?;
    let inbox = lock(&inbox);
    assert_eq!((inbox[0].0["svix-id"].as_bytes(), &inbox[0].1["event"]), (id.as_bytes(), &json!("bot.done")));
    Ok(())
}

#[tokio::test]
async fn retention_ends_a_recording() -> Result<()> {
    let lab = Lab::quick().await?;
    let (_inbox, _server) = receiver(&lab.wire, &lab.recall).await?;
    let soon_over = time::OffsetDateTime::now_utc() + Duration::from_millis(20);
    let recording = lab.recall.add_recording(Meeting::silent().expires_at(soon_over));
    soon(lab.recall.wait_for_delivery(recording, "recording.deleted")).await?;
    Ok(())
}
