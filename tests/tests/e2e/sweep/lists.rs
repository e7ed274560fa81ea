//! Recall's lists, read page by page, and what can happen to a page.

use std::time::Duration;

use anyhow::{Context as _, Result};
use local::{
    recall::{EntryFault, Meeting, Status, Target},
    stack::JOBS_TABLE,
    wire::{Fault, Service, When},
};
use serde_json::json;
use tests::{PipelineTest, in_hours, now};
use uuid::Uuid;

use super::{add, answer, deaf, transcribed};

const RECORDINGS: &str = "GET /api/v1/recording/";
const TRANSCRIPTS: &str = "GET /api/v1/transcript/";

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_read_over_several_runs() -> Result<()> {
    let test = deaf(1);
    test.run(async |pipeline| {
        let recordings = add(&pipeline, 45);
        let mut listed = [0, 0];
        for run in 1.. {
            pipeline.sweep().await?;
            for (list, before) in [TRANSCRIPTS, RECORDINGS].into_iter().zip(&mut listed) {
                // Only the lists have exactly this path; single entries do not.
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
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_list_waits_as_long_as_it_is_told() -> Result<()> {
    let test = deaf(1);
    test.run(async |pipeline| {
        let recordings = add(&pipeline, 3);
        let throttled = Fault::Answer { status: 429, retry_after: Some(2) };
        pipeline.stack.wire.inject(Service::Recall, RECORDINGS, When::Before, throttled, 1);
        for _ in 0..2 {
            assert_eq!(pipeline.sweep().await?["listed"], 0);
            assert_eq!(pipeline.stack.wire.count(Service::Recall, RECORDINGS), 1);
        }
        let until = pipeline.place()?["recordings"]["retry_at"].as_i64().context("no wait")?;
        pipeline.wait_until("the wait to end", || Ok(now() * 1000 > until)).await?;
        assert_eq!(pipeline.sweep().await?["found"], 3);
        for recording in recordings {
            pipeline.reaches(recording, "transcribing").await?;
        }
        Ok(())
    })
    .await
}

/// The sweep keeps reading the recordings, whatever keeps it from reading the transcripts, and for how long.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_list_does_not_stop_the_other() -> Result<()> {
    let throttled = Fault::Answer { status: 429, retry_after: Some(3600) };
    for fault in [throttled, answer(401), answer(403), answer(404), answer(503), Fault::Html { status: 404 }] {
        let test = deaf(1);
        test.run(async |pipeline| {
            pipeline.simulator().faults().never_transcribe(Target::next(4));
            pipeline.stack.wire.inject(Service::Recall, TRANSCRIPTS, When::Before, fault, usize::MAX);
            for _ in 0..2 {
                add(&pipeline, 2);
                assert_eq!(pipeline.sweep().await?["found"], 2, "{fault:?}");
                pipeline.settles().await?;
            }
            assert!(pipeline.place()?["recordings"]["complete_at"].is_number(), "{fault:?}");
            assert!(pipeline.place()?["transcripts"].get("complete_at").is_none(), "{fault:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The same with the two lists exchanged.
#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_list_of_recordings_does_not_stop_the_transcripts() -> Result<()> {
    let test = deaf(1);
    test.run(async |pipeline| {
        let recordings = add(&pipeline, 2);
        assert_eq!(pipeline.sweep().await?["found"], 2);
        transcribed(&pipeline, &recordings, Status::Done).await;
        pipeline.settles().await?;
        let throttled = Fault::Answer { status: 429, retry_after: Some(3600) };
        pipeline.stack.wire.inject(Service::Recall, RECORDINGS, When::Before, throttled, 1);
        assert_eq!(pipeline.sweep().await?["found"], 2);
        for recording in recordings {
            pipeline.ends_stored(recording).await?;
        }
        // The sweep leaves the recordings alone until the time has come, and keeps reading the transcripts.
        let asked = pipeline.stack.wire.count(Service::Recall, RECORDINGS);
        assert_eq!(pipeline.sweep().await?["listed"], 2);
        assert_eq!(pipeline.stack.wire.count(Service::Recall, RECORDINGS), asked);
        Ok(())
    })
    .await
}

/// The queue refuses the messages about the page of transcripts, and accepts those about the page of recordings.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_the_queue_refuses_does_not_stop_the_other_list() -> Result<()> {
    let test = deaf(100);
    test.run(async |pipeline| {
        let first = add(&pipeline, 1);
        pipeline.sweep().await?;
        transcribed(&pipeline, &first, Status::Done).await;
        pipeline.settles().await?;
        let second = pipeline.simulator().add_recording(tests::past(Meeting::short(2)));
        pipeline.simulator().faults().never_transcribe(Target::recording(second).times(1));
        // The number of tries that the SDK makes.
        pipeline.stack.wire.inject(Service::Sqs, "SendMessageBatch", When::Before, answer(500), 3);
        assert_eq!(pipeline.sweep().await?["found"], 1);
        pipeline.reaches(second, "transcribing").await?;
        assert_eq!(pipeline.sweep().await?["found"], 1);
        pipeline.ends_stored(first[0]).await?;
        Ok(())
    })
    .await
}

/// An unreadable entry is counted, and the other entries of its page are handled.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_entry_does_not_end_its_page() -> Result<()> {
    for fault in [EntryFault::Null, EntryFault::NoId] {
        let test = deaf(100);
        test.run(async |pipeline| {
            let simulator = pipeline.simulator();
            let recordings = add(&pipeline, 3);
            simulator.faults().never_transcribe(Target::next(3));
            simulator.faults().list_entry(Target::recording(recordings[1]).times(1), fault);
            assert_eq!(pipeline.sweep().await?["found"], 2, "{fault:?}");
            let unreadable = |list: &str| {
                let of_list = |line: &&String| line.contains("\"EntriesUnreadable\":1") && line.contains(list);
                pipeline.stack.sweep.logs().iter().filter(of_list).count()
            };
            assert_eq!(unreadable("recordings"), 1, "{fault:?}");
            assert!(pipeline.place()?["recordings"]["complete_at"].is_number(), "it has come to the list's end");
            pipeline.settles().await?;
            assert_eq!(pipeline.sweep().await?["found"], 1, "{fault:?}");
            pipeline.settles().await?;
            let transcripts = recordings.iter().map(|recording| simulator.transcripts(*recording)[0].id);
            let transcripts: Vec<Uuid> = transcripts.collect();
            for transcript in &transcripts {
                simulator.finish_transcription(*transcript, Ok(()));
            }
            simulator.faults().list_entry(Target::transcript(transcripts[0]).times(1), fault);
            assert_eq!(pipeline.sweep().await?["found"], 2, "{fault:?}");
            assert_eq!(unreadable("transcripts"), 1, "{fault:?}");
            pipeline.settles().await?;
            assert_eq!(pipeline.sweep().await?["found"], 1, "{fault:?}");
            for recording in recordings {
                pipeline.ends_stored(recording).await?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_cursor_restarts_the_list() -> Result<()> {
    for status in [404, 400] {
        let test = deaf(1);
        test.run(async |pipeline| {
            pipeline.simulator().faults().never_transcribe(Target::next(25));
            let recordings = add(&pipeline, 25);
            assert_eq!(pipeline.sweep().await?["found"], 20);
            pipeline.settles().await?;
            pipeline.stack.wire.inject(Service::Recall, RECORDINGS, When::Before, answer(status), 1);
            assert_eq!(pipeline.sweep().await?["found"], 0);
            let place = pipeline.place()?;
            assert_eq!((place["recordings"].get("next"), &place["recordings"]["pages"]), (None, &json!(0)), "{place}");
            assert_eq!(pipeline.sweep().await?["found"], 0);
            assert_eq!(pipeline.sweep().await?["found"], 5);
            for recording in recordings {
                pipeline.reaches(recording, "transcribing").await?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_link_to_another_host_is_followed_at_recall() -> Result<()> {
    let test = deaf(1);
    test.run(async |pipeline| {
        pipeline.simulator().faults().never_transcribe(Target::next(2));
        pipeline.simulator().faults().next_links_elsewhere(1);
        add(&pipeline, 2);
        assert_eq!(pipeline.sweep().await?["found"], 2);
        assert_eq!(pipeline.stack.wire.count(Service::Recall, RECORDINGS), 2, "both pages came from Recall itself");
        pipeline.settles().await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_sweeps_list_once() -> Result<()> {
    let test = deaf(100);
    test.run(async |pipeline| {
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
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_sweep_is_replaced_after_its_lease() -> Result<()> {
    let test = PipelineTest::with(|config, _| config.sweep_timeout = Duration::from_secs(8));
    let test = test.without_webhooks();
    test.run(async |pipeline| {
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
        // The lease outlives the sweep.
        assert_eq!(pipeline.sweep().await?["listed"], 0);
        let until = pipeline.place()?["lease_until"].as_i64().context("no lease")?;
        pipeline.wait_until("the lease to end", || Ok(now() * 1000 > until)).await?;
        assert_eq!(pipeline.sweep().await?["found"], 1);
        pipeline.reaches(recording, "transcribing").await?;
        Ok(())
    })
    .await
}

/// From Friday evening to Monday morning, no webhook arrives and no list can be read.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_longer_than_the_window_skips_no_recording() -> Result<()> {
    const LISTS: [&str; 2] = ["transcripts", "recordings"];
    for fault in [answer(401), answer(503), Fault::Drop] {
        let test = deaf(1);
        test.run(async |pipeline| {
            let (simulator, stack) = (pipeline.simulator(), &pipeline.stack);
            simulator.faults().never_transcribe(Target::next(5));
            assert_eq!(pipeline.sweep().await?["listed"], 0);
            let mut place = pipeline.place()?;
            let friday = in_hours(-63).unix_timestamp() * 1000;
            for list in LISTS {
                assert!(place[list]["complete_at"].as_i64().is_some_and(|at| at / 1000 >= now() - 60), "{place}");
                place[list]["complete_at"] = friday.into();
            }
            assert!(stack.dynamodb.replace(JOBS_TABLE, &place)?);
            let begun = |hours| simulator.add_recording(Meeting::short(1).started_at(in_hours(hours)));
            // The first recording began while lists could still be read, and was not done then.
            let recordings = [-70, -62, -50, -47, -2].map(begun);
            let before = begun(-63 - 49);

            stack.wire.inject(Service::Recall, "GET /api/v1/", When::Before, fault, usize::MAX);
            for _ in 0..4 {
                assert_eq!(pipeline.sweep().await?["listed"], 0, "{fault:?}");
            }
            let place = pipeline.place()?;
            assert!(LISTS.iter().all(|list| place[list]["complete_at"] == friday), "{fault:?}: {place}");
            stack.wire.calm();
            assert_eq!(pipeline.sweep().await?["found"], recordings.len(), "{fault:?}");
            for recording in recordings {
                pipeline.reaches(recording, "transcribing").await?;
            }
            assert_eq!(pipeline.job(before)?, None, "it was listed before");
            pipeline.settles().await?;
            assert_eq!(pipeline.sweep().await?["found"], 0);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The first pass of a new stack does not complete from Friday evening to Monday morning.
#[tokio::test(flavor = "multi_thread")]
async fn the_window_moves_on_after_a_complete_pass() -> Result<()> {
    let test = deaf(100);
    test.run(async |pipeline| {
        let (simulator, stack) = (pipeline.simulator(), &pipeline.stack);
        simulator.faults().never_transcribe(Target::next(2));
        stack.wire.inject(Service::Recall, RECORDINGS, When::Before, answer(503), 4);
        assert_eq!(pipeline.sweep().await?["listed"], 0);
        let mut place = pipeline.place()?;
        assert!(place["recordings"]["first_at"].as_i64().is_some_and(|at| at / 1000 >= now() - 60), "{place}");
        place["recordings"]["first_at"] = (in_hours(-63).unix_timestamp() * 1000).into();
        assert!(stack.dynamodb.replace(JOBS_TABLE, &place)?);
        let begun = |hours| simulator.add_recording(Meeting::short(1).started_at(in_hours(hours)));
        let (recordings, before) = ([-63 - 47, -50].map(begun), begun(-63 - 49));
        // The sweep gives up the page and starts the list again.
        for _ in 0..3 {
            assert_eq!(pipeline.sweep().await?["listed"], 0);
        }
        assert_eq!(pipeline.sweep().await?["found"], 2);
        for recording in recordings {
            pipeline.reaches(recording, "transcribing").await?;
        }
        assert_eq!(pipeline.job(before)?, None, "it ended before this stack was there");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_refused_by_the_queue_is_listed_again() -> Result<()> {
    let test = deaf(1);
    test.run(async |pipeline| {
        pipeline.simulator().faults().never_transcribe(Target::next(2));
        let recordings = add(&pipeline, 2);
        // Longer than the SDK retries.
        pipeline.stack.wire.inject(Service::Sqs, "SendMessageBatch", When::Before, answer(500), usize::MAX);
        assert_eq!(pipeline.sweep().await?["found"], 0);
        let place = &pipeline.place()?["recordings"];
        assert_eq!((&place["pages"], &place["failures"]), (&json!(0), &json!(1)), "the page does not count: {place}");
        assert_eq!((place.get("next"), place.get("complete_at")), (None, None), "{place}");
        assert_eq!(pipeline.stack.wire.count(Service::Recall, RECORDINGS), 1);
        pipeline.stack.wire.calm();
        assert_eq!(pipeline.sweep().await?["found"], 2);
        for recording in recordings {
            pipeline.reaches(recording, "transcribing").await?;
        }
        Ok(())
    })
    .await
}
