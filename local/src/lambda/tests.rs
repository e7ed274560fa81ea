use std::path::Path;

use axum::{
    body::{Body, to_bytes},
    extract::State,
    http::Request,
};
use serde_json::Value;

use super::*;
use crate::queue::Queues;

/// A function that is a short script, which defines what it does with a payload.
fn function(mode: &str, concurrency: usize, timeout: Duration) -> Result<Function> {
    let config = FunctionConfig {
        name: "echo".to_owned(),
        binary: Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lambda/tests/function.sh"),
        env: vec![("MODE".to_owned(), mode.to_owned())],
        timeout,
        concurrency,
        log: LogSink::default(),
    };
    Function::start(&Wire::default(), config)
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_process_is_kept_for_the_next_invocation() -> Result<()> {
    let function = function("good", 1, LONG)?;
    for payload in ["1", "2", "3"] {
        assert_eq!(function.invoke(payload.into()).await?, payload.as_bytes());
    }
    let failed = function.invoke(r#""fail""#.into()).await;
    assert!(matches!(failed, Err(InvokeError::Function(error)) if error == r#"{"errorMessage":"asked to"}"#));
    assert_eq!(function.invoke("4".into()).await?, b"4");
    assert_eq!((function.processes_started(), function.pids().len()), (1, 1));
    assert_eq!(function.logs(), ["starting as echo, good, home is nowhere"]);
    Ok(())
}

#[tokio::test]
async fn a_dead_process_is_replaced() -> Result<()> {
    let function = function("good", 1, LONG)?;
    let died = function.invoke(r#""exit""#.into()).await;
    assert!(matches!(&died, Err(InvokeError::Died(status)) if status == "exit status: 7"), "{died:?}");
    assert_eq!(function.pids(), Vec::<u32>::new());

    assert_eq!(function.invoke("1".into()).await?, b"1");
    function.kill().await;
    assert_eq!(function.pids(), Vec::<u32>::new());
    assert_eq!(function.invoke("2".into()).await?, b"2");
    assert_eq!(function.processes_started(), 3);
    Ok(())
}

#[tokio::test]
async fn a_kill_ends_the_invocation_under_way() -> Result<()> {
    let function = function("good", 2, LONG)?;
    assert_eq!(function.invoke("1".into()).await?, b"1");
    let hanging = tokio::spawn({
        let function = function.clone();
        async move { function.invoke(r#""hang""#.into()).await }
    });
    // One invocation is running: a second one is accepted, and a third one is not.
    while function.0.unanswered.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(function.invoke("2".into()).await?, b"2");
    function.kill().await;
    let killed = hanging.await?;
    assert!(matches!(&killed, Err(InvokeError::Died(status)) if status.contains("9")), "{killed:?}");
    assert_eq!(function.pids(), Vec::<u32>::new());
    Ok(())
}

#[tokio::test]
async fn an_invocation_over_its_timeout_is_killed() -> Result<()> {
    let function = function("good", 1, Duration::from_millis(100))?;
    let late = function.invoke(r#""hang""#.into());
    let (late, throttled) = tokio::join!(late, function.invoke("1".into()));
    assert!(matches!(late, Err(InvokeError::TimedOut(_))), "{late:?}");
    assert!(matches!(throttled, Err(InvokeError::Throttled)), "{throttled:?}");
    assert_eq!(function.pids(), Vec::<u32>::new());
    Ok(())
}

#[tokio::test]
async fn a_function_that_does_not_start_says_why() -> Result<()> {
    let function = function("broken", 1, LONG)?;
    let Err(InvokeError::Init { reason, log }) = function.invoke("1".into()).await else {
        anyhow::bail!("it started");
    };
    assert_eq!(reason, "its process ended: exit status: 3");
    assert!(log.contains(&"no settings".to_owned()), "{log:?}");
    Ok(())
}

#[tokio::test]
async fn a_stopped_function_starts_no_process() -> Result<()> {
    let function = function("good", 1, LONG)?;
    assert_eq!(function.invoke("1".into()).await?, b"1");
    function.stop().await;
    assert!(matches!(function.invoke("2".into()).await, Err(InvokeError::Stopped)));
    assert_eq!((function.processes_started(), function.pids()), (1, Vec::new()));
    Ok(())
}

#[tokio::test]
async fn a_queue_feeds_the_function_until_it_is_empty() -> Result<()> {
    let queues = Queues::start(&Wire::default()).await?;
    queues.create("work", 30, None).await?;
    let function = function("good", 1, LONG)?;
    let config = EventSourceConfig { batch_size: 2, maximum_concurrency: 2 };
    let source = EventSource::start(&queues, "work", function, config)?;
    for _ in 0..5 {
        queues.send("work", "batch", &[]).await?;
    }
    while queues.depth("work").await? > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    source.pause();
    queues.send("work", "batch", &[]).await?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(queues.depth("work").await?, 1);
    source.stop();
    Ok(())
}

#[tokio::test]
async fn the_function_url_reports_each_outcome() -> Result<()> {
    let function = function("good", 1, LONG)?;
    let post = async |body: Vec<u8>| -> Result<(u16, Value)> {
        let request = Request::post("/hook").header("content-type", "text/plain").body(Body::from(body))?;
        let response = function_url::answer(State(function.clone()), request).await;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_slice(&to_bytes(response.into_body(), 10_000).await?)?))
    };
    // The function answers with the event itself.
    let (status, event) = post(b"hello".to_vec()).await?;
    assert_eq!((status, &event["rawPath"], &event["body"]), (200, &"/hook".into(), &"hello".into()));

    let (status, error) = post(vec![b'x'; 6 * 1024 * 1024 + 1]).await?;
    assert_eq!((status, error["Message"].is_string()), (413, true));

    let ((first, _), (second, _)) = tokio::try_join!(post(b"1".to_vec()), post(b"2".to_vec()))?;
    assert_eq!((first, second), (200, 429));

    function.stop().await;
    assert_eq!(post(b"3".to_vec()).await?, (502, serde_json::json!({"message": "Internal Server Error"})));
    Ok(())
}

#[tokio::test]
async fn a_schedule_fires_when_it_is_told_to() -> Result<()> {
    let function = function("good", 1, LONG)?;
    let schedule = Schedule::start(function.clone(), Duration::from_secs(3600));
    assert_eq!(function.processes_started(), 0);
    schedule.pause();
    // The function answers with the event itself.
    let event: Value = serde_json::from_slice(&schedule.fire().await?)?;
    assert_eq!(event["detail-type"], "Scheduled Event");
    assert_eq!(event["resources"][0], "arn:aws:events:us-east-1:000000000000:rule/echo");
    function.stop().await;
    assert!(matches!(schedule.fire().await, Err(InvokeError::Stopped)));
    Ok(())
}

#[tokio::test]
async fn a_schedule_continues_after_failures_until_paused_or_dropped() -> Result<()> {
    // Each invocation ends its process, so there are as many processes as invocations.
    let function = function("always-exit", 1, LONG)?;
    let schedule = Schedule::start(function.clone(), Duration::from_millis(5));
    let reach = async |count| {
        while function.processes_started() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let count_after = async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        function.processes_started()
    };
    reach(3).await;
    schedule.pause();
    let paused_at = count_after().await;
    assert_eq!(count_after().await, paused_at);
    schedule.resume();
    reach(paused_at + 2).await;
    drop(schedule);
    let dropped_at = count_after().await;
    assert_eq!(count_after().await, dropped_at);
    Ok(())
}

#[tokio::test]
async fn a_schedule_does_not_wait_for_the_invocation_before() -> Result<()> {
    let function = function("always-hang", 2, LONG)?;
    let schedule = Schedule::start(function.clone(), Duration::from_millis(5));
    while function.0.unanswered.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(schedule.fire().await, Err(InvokeError::Throttled)));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(function.processes_started(), 2);
    Ok(())
}
