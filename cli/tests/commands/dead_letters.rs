//! `dead-letters`: what is on the queue and why, and that nothing is deleted before it arrived.

use anyhow::{Context as _, Result, ensure};
use local::{
    recall::Meeting,
    stack::{DEAD_LETTER_QUEUE, WORK_QUEUE},
    wire::{Fault, Service, When},
};
use serde_json::{Value, json};
use tests::{Pipeline, pipeline_test};

use super::harness::{Ran, run, run_json};

const RECORDING: &str = "11111111-1111-4111-8111-111111111111";
const UNKNOWN: &str = "00000000-0000-0000-0000-000000000001";

async fn dead_letters(pipeline: &Pipeline, arguments: &[&str]) -> Result<Ran> {
    run_json(pipeline, &[&["dead-letters"], arguments].concat()).await
}

async fn list(pipeline: &Pipeline, filters: &[&str]) -> Result<Vec<Value>> {
    dead_letters(pipeline, &[&["list"], filters].concat()).await?.lines()
}

/// Parks a delivery, and returns the ID of its first message.
async fn park(pipeline: &Pipeline, body: &[u8]) -> Result<String> {
    let before = list(pipeline, &[]).await?;
    let reply = pipeline.deliver(body).await?;
    ensure!(reply.body["outcome"] == "parked", "{reply:?}");
    let new = list(pipeline, &[]).await?.into_iter().find(|line| !before.contains(line)).context("not parked")?;
    new["message_id"].as_str().map(str::to_owned).context("no ID")
}

/// Puts a message on the dead-letter queue, as SQS does after the last receive.
async fn give_up(pipeline: &Pipeline, body: &Value) -> Result<String> {
    pipeline.stack.queues.send(DEAD_LETTER_QUEUE, &body.to_string(), &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn list_says_what_is_there_and_why_and_gives_it_back() -> Result<()> {
    pipeline_test(async |pipeline| {
        let empty = dead_letters(&pipeline, &["list"]).await?;
        assert!(empty.data.is_empty() && empty.messages.contains("no dead letter"), "{empty:?}");

        let delivery = park(&pipeline, b"{\"personal\": \"Ann\"").await?;
        let unreadable = json!({"recording_id": RECORDING, "event": "retry"});
        pipeline.stack.queues.send(WORK_QUEUE, &unreadable.to_string(), &[]).await?;
        pipeline.settles().await?;
        let work = give_up(&pipeline, &json!({"recording_id": UNKNOWN, "event": "wake"})).await?;

        let lines = list(&pipeline, &[]).await?;
        let kinds: Vec<_> = lines.iter().filter_map(|line| line["kind"].as_str()).collect();
        assert_eq!(kinds, ["unreadable_delivery", "unreadable_message", "unfinished_work"], "{lines:?}");
        assert_eq!((&lines[0]["message_id"], &lines[0]["event"]), (&json!(delivery), &Value::Null));
        assert!(lines[0]["reason"].as_str().is_some_and(|reason| reason.contains("error at line")), "{lines:?}");
        assert_eq!((&lines[1]["event"], &lines[1]["recording_id"]), (&json!("retry"), &json!(RECORDING)));
        assert_eq!(lines[2]["message_id"], json!(work));
        assert!(lines.iter().all(|line| line["sent_at"].is_string()), "{lines:?}");
        for (filters, expected) in [
            (&["--event", "wake"][..], 1),
            (&["--recording", RECORDING], 1),
            (&["--reason", "NOT A MESSAGE of ours"], 1),
            (&["--event", "wake", "--recording", RECORDING], 0),
            (&["--limit", "2"], 2),
        ] {
            assert_eq!(list(&pipeline, filters).await?.len(), expected, "{filters:?}");
        }
        let text = run(&pipeline, &["dead-letters", "list"]).await?;
        assert!(text.data.contains("transcript function") && !text.data.contains("Ann"), "{text:?}");
        assert_eq!(pipeline.stack.queues.visible(DEAD_LETTER_QUEUE).await?, 3, "all were given back");

        // Someone else looks at one of them.
        let taken = pipeline.stack.queues.receive(DEAD_LETTER_QUEUE, 1).await?;
        let rest = dead_letters(&pipeline, &["list"]).await?;
        assert!(rest.lines()?.len() == 2 && rest.messages.contains("there are too many: about 1"), "{rest:?}");
        let hidden = dead_letters(&pipeline, &["drop", &taken[0].message_id, "--reason", "old", "--yes"]).await?;
        assert_eq!(hidden.error(3)?, "unknown_message");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn show_prints_a_body_only_if_it_holds_no_secret_or_if_asked() -> Result<()> {
    pipeline_test(async |pipeline| {
        let body = b"{\"personal\": \"Ann\"";
        let delivery = park(&pipeline, body).await?;
        let message = json!({"recording_id": RECORDING, "event": "wake"});
        let work = give_up(&pipeline, &message).await?;

        let shown = run(&pipeline, &["dead-letters", "show", &delivery]).await?;
        assert!(shown.status == Some(0) && !shown.data.contains("Ann"), "{shown:?}");
        for part in ["webhook-id  msg_", "18 bytes", "error at line", "dead-letters redrive"] {
            assert!(shown.data.contains(part), "{part}: {shown:?}");
        }
        assert!(!shown.data.contains("v1,"), "{shown:?}");
        let whole = run(&pipeline, &["dead-letters", "show", &delivery, "--body"]).await?;
        assert_eq!(whole.data.as_bytes(), body);
        let json = dead_letters(&pipeline, &["show", &work]).await?.json()?;
        assert_eq!((&json["message"]["event"], &json["kind"]), (&json!("wake"), &json!("unfinished_work")));
        let json = dead_letters(&pipeline, &["show", &delivery]).await?.json()?;
        assert!(json["headers"]["webhook-id"].is_string() && json["body"].is_null(), "{json}");
        assert_eq!(dead_letters(&pipeline, &["show", UNKNOWN]).await?.error(3)?, "unknown_message");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_sent_to_the_work_queue_once() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.simulator().set_webhook_url(None);
        let recording = pipeline.simulator().play(Meeting::short(1));
        let id = give_up(&pipeline, &json!({"recording_id": recording, "event": "recording.done"})).await?;
        let other = give_up(&pipeline, &json!({"recording_id": UNKNOWN, "event": "retry"})).await?;

        let dry = dead_letters(&pipeline, &["redrive", &id, "--dry-run"]).await?.json()?;
        assert_eq!((&dry["sent"], &dry["to"]), (&json!(false), &json!("work_queue")));
        let declined = dead_letters(&pipeline, &["redrive", "--all"]).await?;
        assert_eq!(declined.error(7)?, "declined");
        assert!(declined.messages.contains("1 of them cannot be read"), "{declined:?}");
        for usage in [&["redrive"][..], &["drop", "--reason", "old"], &["drop", &id]] {
            assert_eq!(dead_letters(&pipeline, usage).await?.status, Some(2), "{usage:?}");
        }
        assert_eq!(pipeline.stack.queues.visible(DEAD_LETTER_QUEUE).await?, 2, "nothing was changed so far");
        assert_eq!(pipeline.job(recording)?, None);
        // The command tries a call three times.
        let fault = Fault::Answer { status: 500, retry_after: None };
        pipeline.stack.wire.inject(Service::Sqs, "SendMessage", When::Before, fault, 3);
        assert_eq!(dead_letters(&pipeline, &["redrive", &id, "--yes"]).await?.error(5)?, "some_failed");
        assert_eq!(pipeline.stack.queues.visible(DEAD_LETTER_QUEUE).await?, 2, "what was not sent is still there");

        let sent = dead_letters(&pipeline, &["redrive", "--event", "recording.done", "--yes"]).await?.json()?;
        assert_eq!((&sent["message_id"], &sent["sent"]), (&json!(id), &json!(true)));
        pipeline.reaches(recording, "transcribing").await?;
        let left = list(&pipeline, &[]).await?;
        assert_eq!(left.iter().filter_map(|line| line["message_id"].as_str()).collect::<Vec<_>>(), [other]);
        assert_eq!(dead_letters(&pipeline, &["redrive", &id, "--yes"]).await?.error(3)?, "unknown_message");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_signed_again_and_deleted_only_after_they_arrived() -> Result<()> {
    pipeline_test(async |pipeline| {
        let long = format!("[\"{}\"", "é".repeat(150_000));
        let first = park(&pipeline, long.as_bytes()).await?;
        assert_eq!(list(&pipeline, &[]).await?.len(), 1, "a long body is one dead letter");
        assert_eq!(pipeline.stack.queues.visible(DEAD_LETTER_QUEUE).await?, 2);

        // No function runs, so the webhook refuses.
        pipeline.stack.webhook.reserve(Some(0));
        let refused = dead_letters(&pipeline, &["redrive", &first, "--yes"]).await?;
        assert_eq!(refused.error(5)?, "some_failed");
        assert!(refused.messages.contains("the webhook answered"), "{refused:?}");
        assert_eq!(list(&pipeline, &[]).await?.len(), 1, "nothing was deleted");
        pipeline.stack.webhook.reserve(None);

        let calls = pipeline.stack.wire.count(Service::Sqs, "SendMessage");
        let sent = dead_letters(&pipeline, &["redrive", "--all", "--yes"]).await?;
        assert_eq!(sent.status, Some(5), "it still cannot be read: {sent:?}");
        let line: Value = serde_json::from_str(sent.data.trim())?;
        assert_eq!((&line["sent"], &line["outcome"]), (&json!(true), &json!("parked")));
        assert_eq!(pipeline.stack.wire.count(Service::Sqs, "SendMessage"), calls + 2, "the webhook parked it again");
        let again = list(&pipeline, &[]).await?;
        assert!(again.len() == 1 && again[0]["message_id"] != json!(first), "{again:?}");
        assert_eq!(again[0]["bytes"], json!(long.len()));

        // An event that the webhook can read now.
        let body = json!({"event": "bot.done", "data": {}}).to_string();
        let attributes = [("reason", "an older version could not read it"), ("delivery_id", "msg_1"), ("part", "1/1")];
        pipeline.stack.queues.send(DEAD_LETTER_QUEUE, &body, &attributes).await?;
        let sent = dead_letters(&pipeline, &["redrive", "--event", "bot.done", "--yes"]).await?.json()?;
        assert_eq!((&sent["to"], &sent["outcome"]), (&json!("webhook"), &json!("ignored")));
        assert_eq!(list(&pipeline, &["--event", "bot.done"]).await?.len(), 0);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn drop_deletes_what_was_chosen_and_says_so() -> Result<()> {
    pipeline_test(async |pipeline| {
        let wake = json!({"recording_id": RECORDING, "event": "wake"});
        let first = give_up(&pipeline, &wake).await?;
        let second = give_up(&pipeline, &wake).await?;
        for number in 0..25 {
            give_up(&pipeline, &json!({"recording_id": UNKNOWN, "event": "wake", "delivery_id": number.to_string()}))
                .await?;
        }
        let unknown = dead_letters(&pipeline, &["drop", &first, UNKNOWN, "--reason", "old", "--yes"]).await?;
        assert_eq!(unknown.error(3)?, "unknown_message");
        assert_eq!(run(&pipeline, &["dead-letters", "drop", &first, "--reason", "old"]).await?.status, Some(7));
        let dry = dead_letters(&pipeline, &["drop", "--all", "--reason", "old", "--dry-run"]).await?;
        assert_eq!(dry.lines()?.len(), 27);
        assert_eq!(pipeline.stack.queues.visible(DEAD_LETTER_QUEUE).await?, 27, "nothing was changed so far");

        let dropped = dead_letters(&pipeline, &["drop", &first, "--reason", "a test", "--yes"]).await?.json()?;
        assert_eq!((&dropped["dropped"], &dropped["drop_reason"]), (&json!(true), &json!("a test")));
        assert_eq!(dropped["message_id"], json!(first));
        let text =
            run(&pipeline, &["dead-letters", "drop", "--recording", UNKNOWN, "--reason", "old", "--yes"]).await?;
        assert!(text.status == Some(0) && text.data.lines().count() == 25, "{text:?}");
        assert!(text.data.lines().all(|line| line.ends_with("dropped: old")), "{text:?}");
        let left = list(&pipeline, &[]).await?;
        assert_eq!(left.iter().filter_map(|line| line["message_id"].as_str()).collect::<Vec<_>>(), [second]);
        Ok(())
    })
    .await
}
