//! Attacks on our money, our memory, and the transcripts of others. `docs/security.md` names the defenses.

use std::time::Duration;

use anyhow::{Context as _, Result};
use local::{
    recall::{DownloadFault, Meeting, Target, random_api_key},
    stack::{JOBS_TABLE, WORK_QUEUE},
    wire::Service,
};
use serde_json::{Value, json};
use tests::{Pipeline, PipelineTest, now, pipeline_test, post};
use uuid::Uuid;

/// Above this limit, a function's process holds data that it should have passed on. An unoptimized build takes 40 MiB.
const MOST_MIB: f64 = 100.0;
/// The longest log line about an unauthenticated sender.
const MOST_LOGGED_BYTES: usize = 600;

fn done(recording: Uuid) -> Vec<u8> {
    json!({"event": "recording.done", "data": {"recording": {"id": recording, "metadata": {}}}})
        .to_string()
        .into_bytes()
}

fn logged(pipeline: &Pipeline, text: &str) -> usize {
    pipeline.stack.logs().iter().filter(|line| line.contains(text)).count()
}

/// Returns the calls that cost money, except for the invocation itself: all calls to services other than the secret.
fn bought(pipeline: &Pipeline) -> Vec<String> {
    let mut calls = Vec::new();
    pipeline.stack.wire.each_call(|call| {
        if !matches!(call.service, Service::Lambda | Service::Webhook | Service::Secrets) {
            calls.push(format!("{:?} {}", call.service, call.operation));
        }
    });
    calls.retain(|call| !call.contains("ReceiveMessage"));
    calls
}

/// Sends a request this many times, and checks that it caused no paid calls.
async fn flood(pipeline: &Pipeline, times: usize, headers: &[(&str, String)], body: &[u8]) -> Result<()> {
    let (before, lines) = (bought(pipeline).len(), pipeline.stack.webhook.logs().len());
    for _ in 0..times {
        assert_eq!(post(pipeline.stack.function_url.url(), headers, body).await?.status, 401);
    }
    assert_eq!(bought(pipeline).split_off(before), Vec::<String>::new());
    let logs = pipeline.stack.webhook.logs().split_off(lines);
    // The refusal, the metric, and Lambda's own lines about an invocation.
    assert!(logs.len() <= 5 * times, "{} lines for {times} requests", logs.len());
    for line in logs {
        assert!(line.len() <= MOST_LOGGED_BYTES, "{} bytes: {line:.600}", line.len());
    }
    Ok(())
}

/// The URL is public. Anyone can make us answer 401, which costs the sender more than us.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_without_signatures_costs_nothing_but_its_log_lines() -> Result<()> {
    // There is one process, and each process looks the secret up once, at its start.
    let test = PipelineTest::with(|config, _| config.concurrency = 1);
    test.run(async |pipeline| {
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        let looks = || pipeline.stack.wire.count(Service::Secrets, "GetSecretValue");
        post(pipeline.stack.function_url.url(), &[], b"").await?;
        let before = looks();
        flood(&pipeline, 200, &[], &done(recording)).await?;
        flood(&pipeline, 5, &[], &vec![b'x'; 1 << 20]).await?;
        let long = [
            ("webhook-id", "i".repeat(5000)),
            ("user-agent", "u".repeat(5000)),
            ("webhook-timestamp", "1".repeat(5000)),
        ];
        flood(&pipeline, 50, &long, &done(recording)).await?;
        assert_eq!(looks(), before, "an unsigned request causes no look-up of the secret");
        assert_eq!(pipeline.simulator().all_creates(), 0);
        assert_eq!(pipeline.stack.dynamodb.items(JOBS_TABLE)?, Vec::<Value>::new());
        Ok(())
    })
    .await
}

/// A wrong signature may mean that there is a new secret, so the function looks it up, but only once in half a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_forged_signatures_looks_for_a_new_secret_once() -> Result<()> {
    let test = PipelineTest::with(|config, _| config.concurrency = 1);
    test.run(async |pipeline| {
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        let forged = pipeline.simulator().sign(b"another body", now());
        let looks = || pipeline.stack.wire.count(Service::Secrets, "GetSecretValue");
        flood(&pipeline, 1, &forged, &done(recording)).await?;
        let before = looks();
        flood(&pipeline, 200, &forged, &done(recording)).await?;
        assert!(looks() - before <= 1, "{} looks", looks() - before);
        assert_eq!(pipeline.simulator().all_creates(), 0);
        Ok(())
    })
    .await
}

/// A quarter of a megabyte that unpacks to more than any meeting.
#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_bomb_is_given_up_at_the_limit() -> Result<()> {
    let test = PipelineTest::with(|config, _| {
        config.transcript_timeout = Duration::from_secs(60);
        config.visibility_s = 70;
    });
    test.run(async |pipeline| {
        pipeline.simulator().faults().download(Target::next(usize::MAX), DownloadFault::Bomb { mib: 260 });
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.wait_until("the end of it", || Ok(logged(&pipeline, "transcript.not_stored") > 0)).await?;
        assert_eq!(logged(&pipeline, "the download is larger than 268435456 bytes"), 1);
        assert_eq!(pipeline.stack.s3.keys()?, Vec::<String>::new());
        for pid in pipeline.stack.transcript.pids() {
            let peak_mib = peak_mib(pid)?;
            assert!(peak_mib < MOST_MIB, "{peak_mib} MiB");
        }
        // The job waits for an operator, and does not try again at once.
        pipeline
            .wait_until("the wait in the row", || {
                let job = pipeline.job(recording)?.context("no job")?;
                Ok(job["status"] == "copying" && job["transcripts"][0]["claim"].is_null())
            })
            .await?;
        assert!(pipeline.stack.queues.depth(WORK_QUEUE).await? >= 1, "no message would come back");
        Ok(())
    })
    .await
}

/// Returns the peak memory of a process.
fn peak_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    Ok(peak.context("the process has no VmHWM")?.parse::<f64>()? / 1024.0)
}

/// A signed delivery that combines a transcript with the wrong recording.
#[tokio::test(flavor = "multi_thread")]
async fn a_transcript_is_never_filed_under_another_recording() -> Result<()> {
    pipeline_test(async |pipeline| {
        let mine = pipeline.simulator().play(Meeting::short(1));
        pipeline.ends_stored(mine).await?;
        let transcript = pipeline.simulator().transcripts(mine)[0].id;
        let other = pipeline.simulator().add_recording(Meeting::short(2));
        let body = json!({"event": "transcript.done", "data": {
            "recording": {"id": other, "metadata": {}}, "transcript": {"id": transcript, "metadata": {}},
        }});
        assert_eq!(pipeline.deliver(body.to_string().as_bytes()).await?.status, 200);
        pipeline.wait_until("a refusal", || Ok(logged(&pipeline, "or of another recording") > 0)).await?;
        assert_eq!(pipeline.status(other)?.as_deref(), Some("copying"));
        let keys = pipeline.stack.s3.keys()?;
        assert!(keys.iter().all(|key| !key.contains(&other.to_string())), "{keys:?}");
        Ok(())
    })
    .await
}

/// A signed delivery about a recording that our key does not know.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_another_workspace_ends_without_a_transcript() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = Uuid::from_u128(0x1111_4111_8111_1111);
        assert_eq!(pipeline.deliver(&done(recording)).await?.status, 200, "sending it again would not help");
        for _ in 0..60 {
            pipeline.let_time_pass().await?;
            pipeline.sweep().await?;
            while !pipeline.is_idle() || pipeline.stack.queues.visible(WORK_QUEUE).await? > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if pipeline.status(recording)?.as_deref() == Some("skipped") {
                break;
            }
        }
        let job = pipeline.job(recording)?.context("no job")?;
        assert_eq!((&job["status"], &job["transcript_count"]), (&json!("skipped"), &json!(0)), "{job}");
        // Recall is asked for a day, and none of these calls is paid.
        let calls = pipeline.stack.wire.count(Service::Recall, "GET /api/v1/recording/");
        assert!((20..80).contains(&calls), "{calls} calls, of the sweep as well");
        assert_eq!((pipeline.simulator().all_creates(), pipeline.stack.s3.keys()?.len()), (0, 0));
        Ok(())
    })
    .await
}

/// A key works only in its own region. Nothing is lost: an operator corrects the key, and the job continues.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_region_stops_and_loses_nothing() -> Result<()> {
    let right = random_api_key();
    let test = PipelineTest::with(|_, simulator| simulator.api_key = right.clone());
    test.run(async |pipeline| {
        pipeline.simulator().set_api_key(random_api_key());
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        let reply = pipeline.deliver(&done(recording)).await?;
        // The delivery names no bot, so the recording is requested first. From here the job continues from the queue.
        assert_eq!(reply.status, 200, "{reply:?}");
        let job = pipeline.job(recording)?.context("no job")?;
        assert!(job["status"] == "waiting" && job["due_at"].is_number(), "{job}");
        assert!(logged(&pipeline, "recall.credentials_rejected") > 0);
        assert_eq!(pipeline.simulator().all_creates(), 0);
        pipeline.simulator().set_api_key(right);
        pipeline.let_time_pass().await?;
        pipeline.sweep().await?;
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}
