//! Without a webhook, without a wake-up: the sweep finds what is to be done, and nothing twice.

use std::time::Duration;

use anyhow::{Context as _, Result};
use local::{
    recall::{Meeting, Metadata, Status, Target},
    stack::{JOBS_TABLE, WORK_QUEUE},
    wire::{Fault, Service, When},
};
use serde_json::{Value, json};
use tests::{Pipeline, in_hours, now, past};
use uuid::Uuid;

const RECORDINGS: &str = "GET /api/v1/recording/";
const TRANSCRIPTS: &str = "GET /api/v1/transcript/";

fn answer(status: u16) -> Fault {
    Fault::Answer { status, retry_after: None }
}

/// A pipeline that no webhook ever reaches.
async fn deaf(page_size: usize) -> Result<Pipeline> {
    let pipeline = Pipeline::start_with(|config, simulator| {
        config.env = vec![("TRIES_PER_PROVIDER".to_owned(), "1".to_owned())];
        simulator.limits.page_size = page_size;
        simulator.limits.lists_per_minute = 10_000;
        simulator.limits.calls_per_minute = 10_000;
    })
    .await?;
    pipeline.simulator().set_webhook_url(None);
    Ok(pipeline)
}

fn add(pipeline: &Pipeline, count: u64) -> Vec<Uuid> {
    (0..count).map(|seed| pipeline.simulator().add_recording(past(Meeting::short(seed)))).collect()
}

/// Waits until Recall has ended the one transcript of each.
async fn transcribed(pipeline: &Pipeline, recordings: &[Uuid], status: Status) {
    for recording in recordings {
        let transcript = pipeline.simulator().wait_for_transcripts(*recording, 1).await[0].id;
        pipeline.simulator().wait_for_status(transcript, status).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_single_webhook_everything_is_stored_once() -> Result<()> {
    let pipeline = deaf(100).await?;
    let recordings = add(&pipeline, 3);
    assert_eq!(pipeline.sweep().await?, json!({"due": 0, "woken": 0, "listed": 3, "found": 3}));
    transcribed(&pipeline, &recordings, Status::Done).await;
    pipeline.settles().await?;
    assert_eq!(pipeline.sweep().await?, json!({"due": 0, "woken": 0, "listed": 6, "found": 3}));
    for recording in &recordings {
        pipeline.ends_stored(*recording).await?;
        assert_eq!(pipeline.simulator().transcripts(*recording)[0].metadata["trace"], "sweep");
    }
    // The lists still say the same, and nobody is told again.
    let sent = pipeline.stack.wire.count(Service::Sqs, "SendMessage");
    for _ in 0..3 {
        assert_eq!(pipeline.sweep().await?, json!({"due": 0, "woken": 0, "listed": 6, "found": 0}));
    }
    assert_eq!(pipeline.stack.wire.count(Service::Sqs, "SendMessage"), sent);
    assert_eq!(pipeline.simulator().all_creates(), 3);
    for metric in ["JobsDue", "JobsWoken", "OldestDueAge", "SweepListed", "SweepFound"] {
        assert!(pipeline.stack.sweep.logs().iter().any(|line| line.contains(metric)), "{metric}");
    }
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timer_alone_is_enough() -> Result<()> {
    let pipeline = Pipeline::start_with(|config, simulator| {
        config.sweep_every = Some(Duration::from_millis(200));
        simulator.limits.lists_per_minute = 10_000;
    })
    .await?;
    pipeline.simulator().set_webhook_url(None);
    let recording = pipeline.simulator().add_recording(past(Meeting::hour(1)));
    pipeline.ends_stored(recording).await?;
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_just_ended_is_left_to_its_webhook() -> Result<()> {
    let pipeline = deaf(100).await?;
    pipeline.simulator().add_recording(Meeting::short(1));
    assert_eq!(pipeline.sweep().await?["found"], 0);
    // Should both come, one of them finds nothing to do.
    let recording = add(&pipeline, 1)[0];
    pipeline.simulator().set_webhook_url(Some(pipeline.stack.function_url.url().to_owned()));
    let body = json!({"event": "recording.done", "data": {"recording": {"id": recording}}}).to_string();
    let (report, reply) = tokio::join!(pipeline.sweep(), pipeline.deliver(body.as_bytes()));
    report?;
    reply?;
    pipeline.ends_stored(recording).await?;
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_event_will_do() -> Result<()> {
    let pipeline = deaf(100).await?;
    for event in ["null", "[]", "{}", "\"now\"", "{\"detail\": {\"a\": [1, null]}}"] {
        let report: Value = serde_json::from_slice(&pipeline.stack.sweep.invoke(event.into()).await?)?;
        assert_eq!(report, json!({"due": 0, "woken": 0, "listed": 0, "found": 0}), "{event}");
    }
    pipeline.check_promises()
}

/// A job that waited and is due, and whose wake-up is gone. Nobody takes messages until the event source is resumed.
async fn without_its_wake_up(pipeline: &Pipeline) -> Result<Uuid> {
    pipeline.stack.event_source.pause();
    let throttled = Fault::Answer { status: 429, retry_after: Some(1) };
    pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::Before, throttled, 1);
    let recording = pipeline.simulator().add_recording(Meeting::short(1));
    let body = json!({"event": "recording.done", "data": {"recording": {"id": recording}}}).to_string();
    assert_eq!(pipeline.deliver(body.as_bytes()).await?.status, 503);
    empty_the_queue(pipeline).await?;
    let due_at = pipeline.job(recording)?.context("no job")?["due_at"].as_i64().context("it is not due")?;
    pipeline.wait_until("it to be due", || Ok(now() * 1000 > due_at)).await?;
    assert_eq!(pipeline.status(recording)?.as_deref(), Some("waiting"));
    Ok(recording)
}

async fn empty_the_queue(pipeline: &Pipeline) -> Result<()> {
    let queues = &pipeline.stack.queues;
    while queues.depth(WORK_QUEUE).await? > 0 {
        for message in queues.receive(WORK_QUEUE, 10).await? {
            queues.delete(WORK_QUEUE, &message.receipt_handle).await?;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_wake_up_is_repeated() -> Result<()> {
    let pipeline = Pipeline::start().await?;
    let recording = without_its_wake_up(&pipeline).await?;
    for _ in 0..2 {
        let report = pipeline.sweep().await?;
        assert_eq!((&report["due"], &report["woken"]), (&json!(1), &json!(1)), "due until somebody takes it up");
    }
    pipeline.stack.event_source.resume();
    pipeline.ends_stored(recording).await?;
    assert_eq!(pipeline.sweep().await?["due"], 0);
    pipeline.check_promises()
}

/// What has the least time left must not wait behind a thousand others.
#[tokio::test(flavor = "multi_thread")]
async fn what_expires_first_is_woken_first() -> Result<()> {
    let pipeline = Pipeline::start().await?;
    pipeline.stack.event_source.pause();
    let mut jobs = Vec::new();
    for _ in 0..6 {
        jobs.push(without_its_wake_up(&pipeline).await?);
    }
    // In an order that is none of their ids.
    let soonest: Vec<Uuid> = [3, 0, 5, 1, 4, 2].map(|index| jobs[index]).into();
    for (days, recording) in (1..).zip(&soonest) {
        let mut row = pipeline.job(*recording)?.context("no job")?;
        row["expires_at"] = (in_hours(24 * days).unix_timestamp() * 1000).into();
        assert!(pipeline.stack.dynamodb.replace(JOBS_TABLE, &row)?);
    }
    assert_eq!(pipeline.sweep().await?["woken"], 6);
    let messages = pipeline.stack.queues.receive(WORK_QUEUE, 10).await?;
    let woken: Vec<Value> =
        messages.iter().map(|message| serde_json::from_str(&message.body)).collect::<Result<_, _>>()?;
    let woken: Vec<Uuid> = woken.iter().filter_map(|wake| wake["recording_id"].as_str()?.parse().ok()).collect();
    assert_eq!(woken, soonest);
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_recall_does_stops_the_waking() -> Result<()> {
    for (fault, refused, unanswered) in [(answer(401), 1, 0), (answer(503), 0, 2), (Fault::Drop, 0, 2)] {
        let pipeline = Pipeline::start().await?;
        let recording = without_its_wake_up(&pipeline).await?;
        pipeline.stack.wire.inject(Service::Recall, "GET /api/v1/", When::Before, fault, 100);
        assert_eq!(pipeline.sweep().await?, json!({"due": 1, "woken": 1, "listed": 0, "found": 0}), "{fault:?}");
        let log = pipeline.stack.sweep.logs();
        assert_eq!(log.iter().filter(|line| line.contains("recall.refuses_us")).count(), refused);
        let stopped = log.iter().filter(|line| line.contains("SweepsStopped") && line.contains("unanswered"));
        assert_eq!(stopped.count(), unanswered);
        pipeline.stack.wire.calm();
        pipeline.stack.event_source.resume();
        pipeline.ends_stored(recording).await?;
        pipeline.check_promises()?;
    }
    Ok(())
}

/// A backlog that nobody works off must not grow by the same again every minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_gets_nothing_more() -> Result<()> {
    let pipeline = Pipeline::start().await?;
    let recording = without_its_wake_up(&pipeline).await?;
    add(&pipeline, 1);
    let message = json!({"recording_id": Uuid::nil(), "event": "wake"}).to_string();
    for _ in 0..500 {
        pipeline.stack.queues.send(WORK_QUEUE, &message, &[]).await?;
    }
    assert_eq!(pipeline.sweep().await?, json!({"due": 1, "woken": 0, "listed": 0, "found": 0}));
    assert_eq!(pipeline.stack.queues.depth(WORK_QUEUE).await?, 500);
    empty_the_queue(&pipeline).await?;
    assert_eq!(pipeline.sweep().await?, json!({"due": 1, "woken": 1, "listed": 2, "found": 1}));
    pipeline.stack.event_source.resume();
    pipeline.ends_stored(recording).await?;
    pipeline.check_promises()
}

/// The table's failure is ours to know of; what else can be done is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_cannot_look_fails_and_lists_all_the_same() -> Result<()> {
    let pipeline = deaf(100).await?;
    let recording = add(&pipeline, 1)[0];
    pipeline.stack.wire.inject(Service::DynamoDb, "Query", When::Before, answer(500), 3 * 8);
    let error = pipeline.sweep().await.expect_err("it could not look").to_string();
    assert!(error.contains("not all that is due could be woken"), "{error}");
    pipeline.reaches(recording, "transcribing").await?;
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_read_over_several_runs() -> Result<()> {
    let pipeline = deaf(1).await?;
    let recordings = add(&pipeline, 45);
    let mut listed = [0, 0];
    for run in 1.. {
        pipeline.sweep().await?;
        for (list, before) in [TRANSCRIPTS, RECORDINGS].into_iter().zip(&mut listed) {
            // Exactly that path: the lists, not what is retrieved.
            let calls = pipeline.stack.wire.calls().iter().filter(|call| call.operation == list).count();
            assert!(calls - *before <= 20, "{} calls of {list} in one run", calls - *before);
            *before = calls;
        }
        if run == 1 {
            let place = pipeline.place()?;
            assert_eq!((&place["recordings"]["pages"], &place["transcripts"]["pages"]), (&json!(20), &json!(0)));
            assert!(place["recordings"]["next"].as_str().is_some_and(|next| next.contains("cursor=")), "{place}");
            assert_eq!((place.get("status"), place.get("due_shard")), (None, None));
        }
        pipeline.settles().await?;
        let stored =
            |recording: &Uuid| pipeline.status(*recording).is_ok_and(|status| status.as_deref() == Some("stored"));
        if recordings.iter().all(stored) {
            break;
        }
        assert!(run < 10, "not through after {run} runs: {}", pipeline.place()?);
    }
    for recording in &recordings {
        pipeline.check_stored(*recording)?;
    }
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_list_waits_as_long_as_it_is_told() -> Result<()> {
    let pipeline = deaf(1).await?;
    let recordings = add(&pipeline, 3);
    let throttled = Fault::Answer { status: 429, retry_after: Some(2) };
    pipeline.stack.wire.inject(Service::Recall, RECORDINGS, When::Before, throttled, 1);
    for _ in 0..2 {
        assert_eq!(pipeline.sweep().await?["listed"], 0);
        assert_eq!(pipeline.stack.wire.count(Service::Recall, RECORDINGS), 1);
    }
    let until = pipeline.place()?["until"].as_i64().context("no wait")?;
    pipeline.wait_until("the wait to end", || Ok(now() * 1000 > until)).await?;
    assert_eq!(pipeline.sweep().await?["found"], 3);
    for recording in recordings {
        pipeline.reaches(recording, "transcribing").await?;
    }
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_cursor_begins_the_list_anew() -> Result<()> {
    for status in [404, 400] {
        let pipeline = deaf(1).await?;
        pipeline.simulator().faults().never_transcribe(Target::next(25));
        let recordings = add(&pipeline, 25);
        assert_eq!(pipeline.sweep().await?["found"], 20);
        pipeline.settles().await?;
        pipeline.stack.wire.inject(Service::Recall, RECORDINGS, When::Before, answer(status), 1);
        assert_eq!(pipeline.sweep().await?["found"], 0);
        assert_eq!(pipeline.place()?["recordings"], json!({"pages": 0, "failures": 0}));
        assert_eq!(pipeline.sweep().await?["found"], 0);
        assert_eq!(pipeline.sweep().await?["found"], 5);
        for recording in recordings {
            pipeline.reaches(recording, "transcribing").await?;
        }
        pipeline.check_promises()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_names_another_host_is_followed_on_our_own() -> Result<()> {
    let pipeline = deaf(1).await?;
    pipeline.simulator().faults().never_transcribe(Target::next(2));
    pipeline.simulator().faults().next_links_elsewhere(9);
    add(&pipeline, 2);
    assert_eq!(pipeline.sweep().await?["found"], 2);
    assert_eq!(pipeline.stack.wire.count(Service::Recall, RECORDINGS), 2, "both pages came from Recall itself");
    pipeline.settles().await?;
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sweeps_at_once_one_lists() -> Result<()> {
    let pipeline = deaf(100).await?;
    let recordings = add(&pipeline, 3);
    let slow = Fault::Delay(Duration::from_secs(4));
    let mut lists = pipeline.stack.wire.inject(Service::Recall, TRANSCRIPTS, When::Before, slow, 1);
    let second = async {
        lists.reach(1).await?;
        pipeline.sweep().await
    };
    let (first, second) = tokio::join!(pipeline.sweep(), second);
    assert_eq!((&first?["found"], &second?["listed"]), (&json!(3), &json!(0)));
    assert_eq!(pipeline.stack.wire.count(Service::Recall, RECORDINGS), 1);
    transcribed(&pipeline, &recordings, Status::Done).await;
    pipeline.settles().await?;
    pipeline.sweep().await?;
    for recording in recordings {
        pipeline.ends_stored(recording).await?;
    }
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_died_is_made_up_for() -> Result<()> {
    let pipeline = Pipeline::start_with(|config, _| config.sweep_timeout = Duration::from_secs(8)).await?;
    pipeline.simulator().set_webhook_url(None);
    let recording = add(&pipeline, 1)[0];
    let mut hangs = pipeline.stack.wire.inject(Service::Sqs, "SendMessageBatch", When::Before, Fault::Hold, 1);
    let kill = async {
        hangs.reach(1).await?;
        pipeline.stack.sweep.kill().await;
        anyhow::Ok(())
    };
    let (died, killed) = tokio::join!(pipeline.sweep(), kill);
    killed?;
    assert!(died.is_err(), "it was killed");
    // Its lease outlives it.
    assert_eq!(pipeline.sweep().await?["listed"], 0);
    let until = pipeline.place()?["until"].as_i64().context("no lease")?;
    pipeline.wait_until("the lease to end", || Ok(now() * 1000 > until)).await?;
    assert_eq!(pipeline.sweep().await?["found"], 1);
    pipeline.reaches(recording, "transcribing").await?;
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_failure_is_found() -> Result<()> {
    let pipeline = deaf(100).await?;
    pipeline.simulator().faults().fail_transcription(Target::next(1), Some("provider_connection_failed"));
    let recordings = add(&pipeline, 1);
    pipeline.sweep().await?;
    transcribed(&pipeline, &recordings, Status::Failed).await;
    pipeline.settles().await?;
    assert_eq!(pipeline.sweep().await?["found"], 1);
    pipeline.reaches(recordings[0], "failed").await?;
    pipeline.settles().await?;
    let job = pipeline.job(recordings[0])?.context("no job")?;
    assert_eq!(job["transcripts"][0]["sub_code"], "provider_connection_failed");
    assert_eq!(pipeline.sweep().await?["found"], 0);
    assert_eq!(pipeline.simulator().all_creates(), 1);
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_stays_so() -> Result<()> {
    let pipeline = Pipeline::start_with(|config, _| {
        config.env = vec![("COPY_UNREQUESTED".to_owned(), "false".to_owned())];
    })
    .await?;
    pipeline.simulator().set_webhook_url(None);
    let skipped = pipeline.simulator().add_recording(past(Meeting::short(1).bot_metadata("transcript", "skip")));
    let theirs = pipeline.simulator().add_transcript(skipped, "deepgram_async", Metadata::new());
    pipeline.simulator().wait_for_status(theirs.context("no transcript")?, Status::Done).await;
    assert_eq!(pipeline.sweep().await?["found"], 2);
    pipeline.reaches(skipped, "skipped").await?;
    pipeline.settles().await?;
    for _ in 0..2 {
        assert_eq!(pipeline.sweep().await?, json!({"due": 0, "woken": 0, "listed": 2, "found": 0}));
    }
    assert_eq!(pipeline.simulator().all_creates(), 0);
    assert_eq!(pipeline.stack.s3.keys()?, Vec::<String>::new());
    pipeline.check_promises()
}

/// No webhook tells when a recording goes; without it nobody could be warned.
#[tokio::test(flavor = "multi_thread")]
async fn when_a_recording_expires_is_learned_once() -> Result<()> {
    let pipeline = Pipeline::start().await?;
    pipeline.simulator().faults().never_transcribe(Target::next(1));
    let expires_at = in_hours(90);
    let recording = pipeline.simulator().play(past(Meeting::short(1)).expires_at(expires_at));
    pipeline.reaches(recording, "transcribing").await?;
    pipeline.settles().await?;
    assert_eq!(pipeline.sweep().await?["found"], 1);
    pipeline.settles().await?;
    let job = pipeline.job(recording)?.context("no job")?;
    assert_eq!(job["expires_at"], expires_at.unix_timestamp() * 1000, "{job}");
    assert_eq!(pipeline.sweep().await?["found"], 0);
    assert_eq!(pipeline.simulator().creates(recording), 1);
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn recalls_lists_can_be_left_alone() -> Result<()> {
    let pipeline = Pipeline::start_with(|config, _| {
        config.env = vec![("SWEEP_WINDOW_HOURS".to_owned(), "0".to_owned())];
    })
    .await?;
    let recording = without_its_wake_up(&pipeline).await?;
    add(&pipeline, 1);
    assert_eq!(pipeline.sweep().await?, json!({"due": 1, "woken": 1, "listed": 0, "found": 0}));
    assert_eq!(pipeline.stack.wire.count(Service::Recall, "GET"), 0);
    pipeline.stack.event_source.resume();
    pipeline.ends_stored(recording).await?;
    pipeline.check_promises()
}
