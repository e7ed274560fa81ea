use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{Json, routing::post};
use hyper_util::{client::legacy, rt::TokioExecutor};
use job::{Event, ids::RecordingId};
use pipeline::{
    aws::Aws,
    env::{Env, Reader},
    work_queue::{Message as Work, WorkQueue},
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::sleep};

use super::*;
use crate::{
    ACCESS_KEY, SECRET_KEY,
    wire::{Fault, When},
};

/// Returns the functions' client of a queue at this endpoint.
fn work_queue(endpoint: &str, url: String) -> Result<WorkQueue> {
    let env = Env::from_pairs([
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_ENDPOINT_URL_SQS", endpoint),
    ]);
    let mut reader = Reader::new(&env);
    let client = Aws::read(&env, &mut reader).sqs();
    Ok(reader.finish(WorkQueue::new(client, url))?)
}

fn wakes(count: u128) -> Vec<Work> {
    let wake = |id| Work::new(RecordingId::from_u128(id), Event::WAKE, "test");
    (1..=count).map(wake).collect()
}

/// AWS documents three counts: visible, in flight, and delayed.
#[tokio::test]
async fn a_message_in_flight_counts_for_the_backlog_and_a_delayed_one_does_not() -> Result<()> {
    let queues = Queues::start(&Wire::default()).await?;
    queues.create("work", 30, None).await?;
    let work = work_queue(queues.endpoint(), queues.url("work"))?;
    assert_eq!(work.backlog().await?, 0);
    work.send_batch(&wakes(3)).await?;
    work.send_after(&wakes(1)[0], Duration::from_secs(60)).await?;
    assert_eq!(work.backlog().await?, 3);
    let taken = queues.receive("work", 2).await?;
    assert_eq!((taken.len(), queues.visible("work").await?), (2, 1));
    assert_eq!(work.backlog().await?, 3, "in flight");
    // A worker that postpones a message has not finished it.
    work.hide(&taken[0].receipt_handle, Duration::from_secs(600)).await?;
    assert_eq!(work.backlog().await?, 3);
    queues.delete("work", &taken[1].receipt_handle).await?;
    assert_eq!((work.backlog().await?, queues.depth("work").await?), (2, 3));
    Ok(())
}

#[tokio::test]
async fn an_undeleted_message_goes_to_the_dead_letter_queue() -> Result<()> {
    let queues = Queues::start(&Wire::default()).await?;
    queues.create("dead", 30, None).await?;
    queues.create("work", 30, Some(("dead", 2))).await?;
    let id = queues.send("work", "hello", &[("kind", "webhook")]).await?;
    assert_eq!(queues.depth("work").await?, 1);

    for _ in 0..2 {
        let received = queues.receive("work", 10).await?;
        assert_eq!(received.len(), 1);
        assert_eq!(queues.depth("work").await?, 1, "in flight counts");
        queues.change_visibility("work", &received[0].receipt_handle, 0).await?;
    }
    assert_eq!(queues.receive("work", 10).await?, []);

    for _ in 0..3 {
        let dead = queues.messages("dead").await?;
        assert_eq!(dead.len(), 1, "looking removes no message");
        assert_eq!((dead[0].message_id.as_str(), dead[0].body.as_str()), (id.as_str(), "hello"));
        assert_eq!(dead[0].attributes["kind"].value, "webhook");
    }
    assert_eq!(queues.depth("work").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_deleted_message_is_gone() -> Result<()> {
    let queues = Queues::start(&Wire::default()).await?;
    queues.create("work", 30, None).await?;
    queues.send("work", "hello", &[]).await?;
    let received = queues.receive("work", 1).await?;
    queues.delete("work", &received[0].receipt_handle).await?;
    assert_eq!(queues.depth("work").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_batch_is_sent_in_one_call() -> Result<()> {
    let wire = Wire::default();
    let queues = Queues::start(&wire).await?;
    queues.create("work", 30, None).await?;
    let work = work_queue(queues.endpoint(), queues.url("work"))?;
    assert_eq!(work.backlog().await?, 0);
    work.send_batch(&wakes(10)).await?;
    assert_eq!((work.backlog().await?, wire.count(Service::Sqs, "SendMessageBatch")), (10, 1));
    let received = queues.receive("work", 10).await?;
    let first: Work = serde_json::from_str(&received[0].body)?;
    assert_eq!(first, wakes(1)[0]);
    wire.inject(Service::Sqs, "SendMessageBatch", When::Before, Fault::Answer { status: 500, retry_after: None }, 3);
    assert!(work.send_batch(&wakes(1)).await.is_err());
    Ok(())
}

/// A queue that refuses the second message of a batch this many times.
async fn choosy(refusals: usize) -> Result<(Server, WorkQueue, Wire)> {
    let refused = Arc::new(AtomicUsize::new(0));
    let answer = move |body: Bytes| async move {
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut answer = json!({"Successful": [], "Failed": []});
        for entry in body["Entries"].as_array().into_iter().flatten() {
            let id = &entry["Id"];
            let refuse = id == "1" && refused.fetch_add(1, Ordering::SeqCst) < refusals;
            let (which, result) = if refuse {
                ("Failed", json!({"Id": id, "Code": "InternalError", "SenderFault": false}))
            } else {
                ("Successful", json!({"Id": id, "MessageId": id, "MD5OfMessageBody": ""}))
            };
            answer[which].as_array_mut().into_iter().for_each(|list| list.push(result.clone()));
        }
        Json(answer)
    };
    let (listener, port) = listen(0).await?;
    let wire = Wire::default();
    let server = serve(&wire, Service::Sqs, listener, Router::new().route("/", post(answer)));
    let endpoint = format!("http://127.0.0.1:{port}");
    Ok((server, work_queue(&endpoint, format!("{endpoint}/{ACCOUNT_ID}/work"))?, wire))
}

#[tokio::test]
async fn a_message_that_was_refused_among_others_is_sent_again() -> Result<()> {
    let (_server, work, wire) = choosy(2).await?;
    work.send_batch(&wakes(3)).await?;
    assert_eq!(wire.count(Service::Sqs, "SendMessageBatch"), 3);

    let (_server, work, wire) = choosy(usize::MAX).await?;
    let error = work.send_batch(&wakes(3)).await.expect_err("one was never taken");
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("SQS rejected 1 of the messages: InternalError"));
    assert_eq!(wire.count(Service::Sqs, "SendMessageBatch"), 3);
    Ok(())
}

/// Calls an operation of the queue as its clients do.
async fn call(queues: &Queues, operation: &str, request: &Value) -> Result<(u16, Value)> {
    let client: legacy::Client<_, String> = legacy::Client::builder(TokioExecutor::new()).build_http();
    let request = http::Request::post(queues.endpoint())
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("AmazonSQS.{operation}"))
        .body(request.to_string())?;
    let response = client.request(request).await?;
    let status = response.status().as_u16();
    Ok((status, serde_json::from_slice(&to_bytes(Body::new(response.into_body()), LARGEST_ANSWER_BYTES).await?)?))
}

#[tokio::test]
async fn characters_that_sqs_refuses_are_refused() -> Result<()> {
    let queues = Queues::start(&Wire::default()).await?;
    queues.create("work", 30, None).await?;
    let url = queues.url("work");
    for bad in ["nul \0", "\u{B}", "\u{FFFE}", "at the end \u{FFFF}"] {
        let attributes = json!({"reason": {"DataType": "String", "StringValue": bad}});
        for request in [
            json!({"QueueUrl": url, "MessageBody": bad}),
            json!({"QueueUrl": url, "MessageBody": "good", "MessageAttributes": attributes}),
        ] {
            let (status, answer) = call(&queues, "SendMessage", &request).await?;
            assert_eq!((status, &answer["__type"]), (400, &json!("com.amazonaws.sqs#InvalidMessageContents")));
        }
        assert!(queues.send("work", bad, &[]).await.is_err());
        let alone = json!({"QueueUrl": url, "Entries": [{"Id": "a", "MessageBody": bad}]});
        let (status, answer) = call(&queues, "SendMessageBatch", &alone).await?;
        assert_eq!((status, &answer["Failed"][0]["Code"]), (200, &json!("InvalidMessageContents")), "{answer}");
    }
    assert_eq!(queues.depth("work").await?, 0);

    let entries = json!([{"Id": "a", "MessageBody": "\u{FFFF}"}, {"Id": "b", "MessageBody": "\t\u{FFFD}\u{1FFFF}"}]);
    let (_, answer) = call(&queues, "SendMessageBatch", &json!({"QueueUrl": url, "Entries": entries})).await?;
    assert_eq!((&answer["Successful"][0]["Id"], &answer["Failed"][0]["Id"]), (&json!("b"), &json!("a")), "{answer}");
    assert_eq!(
        queues.receive("work", 10).await?.iter().map(|one| &*one.body).collect::<Vec<_>>(),
        ["\t\u{FFFD}\u{1FFFF}"]
    );
    Ok(())
}

/// A function may be killed while it sends. If the message was sent nevertheless, it can be hurried.
#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_message_survives_a_lost_answer() -> Result<()> {
    const SENDERS: u32 = 200;
    const LONGEST: Duration = Duration::from_millis(2);
    let queues = Queues::start(&Wire::default()).await?;
    queues.create("work", 30, None).await?;
    let body = json!({"QueueUrl": queues.url("work"), "MessageBody": "delayed", "DelaySeconds": 900}).to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-amz-json-1.0\r\n\
         x-amz-target: AmazonSQS.SendMessage\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    for sender in 0..SENDERS {
        let mut stream = TcpStream::connect(queues.endpoint().trim_start_matches("http://")).await?;
        stream.write_all(request.as_bytes()).await?;
        // Each client is dropped a little later than the one before: some before the request arrived, some after the
        // answer.
        std::thread::sleep(LONGEST * sender / SENDERS);
    }
    // The last messages may still be on their way.
    sleep(Duration::from_millis(100)).await;
    let sent = queues.depth("work").await?;
    assert!(sent > 0, "no message arrived");
    queues.hurry("work").await?;
    assert_eq!(queues.visible("work").await?, sent);
    Ok(())
}
