//! Transcripts that cannot be retrieved, downloads that end early, and a bucket that refuses.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use local::{
    recall::{DownloadFault, Meeting, Status, Target},
    stack::WORK_QUEUE,
    wire::{Fault, Service, When},
};
use serde_json::json;
use tests::{Pipeline, PipelineTest, pipeline_test};

use super::{answer, logged};

/// Neither a transcript nor JSON.
const UNREADABLE: &[u8] = b"<html>a page, not a transcript</html>";

fn times_logged(pipeline: &Pipeline, text: &str) -> usize {
    pipeline.stack.logs().iter().filter(|line| line.contains(text)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcript_unknown_to_recall_is_requested_again() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.stack.wire.inject(Service::Recall, "GET /api/v1/transcript/", When::Before, answer(404), 1);
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_url_is_requested_again() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.stack.wire.inject(Service::Download, "GET", When::Before, answer(403), 2);
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.ends_stored(recording).await?;
        assert_eq!(pipeline.stack.wire.count(Service::Recall, "GET /api/v1/transcript/"), 3);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_done_transcript_without_a_url_is_requested_again() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.simulator().faults().null_download_url(Target::next(1));
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

/// Small and large files, cut off in every way that HTTP knows. None of their bytes ever becomes visible in the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_cut_off_leaves_nothing_behind() -> Result<()> {
    for (fault, meeting) in [
        (DownloadFault::Truncated { after: 10_000 }, Meeting::short(1)),
        (DownloadFault::CutChunked { after: 10_000 }, Meeting::short(2)),
        (DownloadFault::Truncated { after: 11_000_000 }, Meeting::large(12_000_000)),
        (DownloadFault::CutChunked { after: 6_000_000 }, Meeting::large(12_000_000)),
    ] {
        pipeline_test(async |pipeline| {
            pipeline.simulator().faults().download(Target::next(1), fault);
            let recording = pipeline.simulator().play(meeting);
            pipeline
                .wait_until("a failed copy", || {
                    Ok(pipeline.stack.logs().iter().any(|line| line.contains("transcript.not_stored")))
                })
                .await?;
            assert_eq!(pipeline.stack.s3.keys()?, Vec::<String>::new(), "{fault:?}");
            pipeline.ends_stored(recording).await?;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_download_is_stored_decompressed() -> Result<()> {
    pipeline_test(async |pipeline| {
        let faults = pipeline.simulator().faults();
        faults.download(Target::next(1), DownloadFault::Gzip);
        pipeline.ends_stored(pipeline.simulator().play(Meeting::hour(3))).await?;
        // The checksum shows that the file is complete, whether or not the file is readable, and whether or not its
        // length is stated.
        for fault in [DownloadFault::Gzip, DownloadFault::Unframed { gzip: true, after: usize::MAX }] {
            faults.download(Target::next(1), fault);
            let recording = pipeline.simulator().play(Meeting::with_content(Bytes::from_static(UNREADABLE)));
            let manifest = pipeline.ends_stored(recording).await?;
            assert!(manifest["rendering_error"].is_string(), "{fault:?}: {manifest}");
        }
        assert_eq!(pipeline.stack.wire.count(Service::Download, "/transcript.json"), 3, "each file takes one try");
        Ok(())
    })
    .await
}

/// Without a stated length, only complete JSON or the end of a gzip stream shows that nothing is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_without_a_length_is_stored_if_provably_complete() -> Result<()> {
    for (content, fault) in [
        (None, DownloadFault::Unframed { gzip: false, after: 10_000 }),
        (None, DownloadFault::Unframed { gzip: true, after: 300 }),
        (Some(UNREADABLE), DownloadFault::Unframed { gzip: false, after: usize::MAX }),
        (Some(UNREADABLE), DownloadFault::Unframed { gzip: true, after: UNREADABLE.len() }),
    ] {
        pipeline_test(async |pipeline| {
            pipeline.simulator().faults().download(Target::next(1), fault);
            let meeting =
                content.map_or(Meeting::short(1), |content| Meeting::with_content(Bytes::from_static(content)));
            let recording = pipeline.simulator().play(meeting);
            pipeline.wait_until("a failed copy", || Ok(logged(&pipeline, "transcript.not_stored"))).await?;
            assert_eq!(pipeline.stack.s3.keys()?, Vec::<String>::new(), "{fault:?}");
            pipeline.ends_stored(recording).await?;
            Ok(())
        })
        .await?;
    }
    pipeline_test(async |pipeline| {
        let whole = DownloadFault::Unframed { gzip: false, after: usize::MAX };
        pipeline.simulator().faults().download(Target::next(1), whole);
        pipeline.ends_stored(pipeline.simulator().play(Meeting::short(1))).await?;
        assert_eq!(pipeline.stack.wire.count(Service::Download, "/transcript.json"), 1);
        Ok(())
    })
    .await
}

/// A file of zero bytes is not a transcript, even if HTTP says that it is complete.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_download_is_requested_again() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.simulator().faults().download(Target::next(2), DownloadFault::Empty);
        let recording = pipeline.simulator().play(Meeting::short(1));
        for tries in 1..=2 {
            pipeline.wait_until("an empty download", || Ok(times_logged(&pipeline, "has 0 bytes") == tries)).await?;
            assert_eq!(pipeline.stack.s3.keys()?, Vec::<String>::new());
            pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
            pipeline.let_time_pass().await?;
        }
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

/// If the file stays empty, that is what Recall has: the pipeline stores it unchanged, and its original is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_stays_empty_is_stored_as_unreadable() -> Result<()> {
    let env = vec![("DELETE_AFTER_STORE".to_owned(), "transcript".to_owned())];
    let test = PipelineTest::with(|config, _| config.env = env);
    test.run(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::with_content(Bytes::new()));
        for tries in 1..=3 {
            pipeline.wait_until("an empty download", || Ok(times_logged(&pipeline, "has 0 bytes") == tries)).await?;
            pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
            pipeline.let_time_pass().await?;
        }
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!((&manifest["files"][0]["bytes"], &manifest["empty"]), (&json!(0), &json!(false)));
        assert!(manifest["rendering_error"].as_str().is_some_and(|error| error.contains("0 bytes")), "{manifest}");
        assert_eq!(pipeline.simulator().transcripts(recording)[0].status, Status::Done, "its original is kept");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_from_other_hosts_are_refused() -> Result<()> {
    for way in ["elsewhere", "redirect", "unlisted"] {
        let test = PipelineTest::with(|config, _| {
            if way == "unlisted" {
                config.env = vec![("DOWNLOAD_HOSTS".to_owned(), "cdn.example".to_owned())];
            }
        });
        test.run(async |pipeline| {
            let faults = pipeline.simulator().faults();
            match way {
                "elsewhere" => faults.download_url_elsewhere(Target::next(usize::MAX)),
                "redirect" => faults.download(Target::next(usize::MAX), DownloadFault::Redirected),
                // The host that all downloads come from.
                _ => {}
            }
            let recording = pipeline.simulator().play(Meeting::short(1));
            pipeline
                .wait_until("a refusal", || {
                    Ok(pipeline
                        .stack
                        .logs()
                        .iter()
                        .any(|line| line.contains("DOWNLOAD_HOSTS") || line.contains("does not use https")))
                })
                .await?;
            // The redirect itself came from the allowed host, and the function did not follow it.
            assert_eq!(
                pipeline.stack.wire.count(Service::Download, "/transcript.json"),
                usize::from(way == "redirect")
            );
            assert_eq!(pipeline.stack.s3.keys()?, Vec::<String>::new());
            // Nothing is lost: the job waits for an operator, and the message comes back.
            pipeline
                .wait_until("the wait in the row", || {
                    let job = pipeline.job(recording)?.context("no job")?;
                    Ok(job["status"] == "copying" && job["transcripts"][0]["claim"].is_null())
                })
                .await?;
            assert!(pipeline.stack.queues.depth(WORK_QUEUE).await? >= 1, "no message would come back");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Every other call to this host must carry the key.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_on_the_api_host_is_fetched_without_the_key() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.simulator().faults().download_url_on_api_host(Target::next(usize::MAX));
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.ends_stored(recording).await?;
        let calls = pipeline.stack.wire.calls();
        let statuses: Vec<_> =
            calls.iter().filter(|call| call.operation.contains("/api/v1/download/")).map(|call| call.status).collect();
        assert_eq!(statuses, [Some(200)]);
        assert_eq!(pipeline.stack.wire.count(Service::Download, "/transcript.json"), 0);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_errors_are_retried() -> Result<()> {
    for (operation, meeting) in [
        ("/manifest.json", Meeting::short(1)),
        ("/transcript.json", Meeting::short(2)),
        ("partNumber=2", Meeting::large(12_000_000)),
        ("POST /transcripts/recordings", Meeting::large(12_000_000)),
    ] {
        pipeline_test(async |pipeline| {
            // One more time than the SDK retries.
            pipeline.stack.wire.inject(Service::S3, operation, When::Before, answer(503), 4);
            let recording = pipeline.simulator().play(meeting);
            pipeline.ends_stored(recording).await?;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The SDK retries when S3's answer is lost. None of the uploads that were created twice is left open.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_of_s3_leave_no_upload_behind() -> Result<()> {
    for (operation, lost) in [
        ("transcript.json?uploads", 1),
        ("transcript.json?uploads", 3),
        ("partNumber=1", 1),
        ("POST /transcripts/recordings", 2),
    ] {
        pipeline_test(async |pipeline| {
            pipeline.stack.wire.inject(Service::S3, operation, When::After, Fault::Drop, lost);
            let recording = pipeline.simulator().play(Meeting::large(12_000_000));
            pipeline.ends_stored(recording).await?;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The SDK asks three times for an upload and gets no answer. When it gives up, none of the uploads is left open.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_gives_up_leaves_no_upload_behind() -> Result<()> {
    pipeline_test(async |pipeline| {
        // This does not match the call that lists open uploads, which goes to the bucket.
        let begin = "/transcript.json?uploads";
        pipeline.stack.wire.inject(Service::S3, begin, When::After, Fault::Drop, 3);
        let recording = pipeline.simulator().play(Meeting::large(6_000_000));
        pipeline.wait_until("a failed copy", || Ok(logged(&pipeline, "transcript.not_stored"))).await?;
        pipeline.stack.event_source.pause();
        assert_eq!(pipeline.stack.wire.count(Service::S3, begin), 3, "it has not tried again yet");
        assert_eq!(pipeline.stack.s3.open_uploads()?.len(), 0);
        pipeline.stack.event_source.resume();
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

/// Parts of an open upload cost money, so the next try removes them before it adds its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_try_removes_the_upload_of_a_dead_worker() -> Result<()> {
    let test = PipelineTest::hasty();
    test.run(async |pipeline| {
        let (simulator, stack) = (pipeline.simulator(), &pipeline.stack);
        simulator.faults().download(Target::next(2), DownloadFault::Stalled { after: 6_000_000 });
        let recording = simulator.play(Meeting::large(7_000_000));
        for tried in 1..=2 {
            pipeline.wait_until("a part in S3", || Ok(stack.wire.count(Service::S3, "partNumber=1") == tried)).await?;
            assert_eq!(stack.s3.open_uploads()?.len(), 1, "in try {tried}");
            stack.event_source.pause();
            stack.transcript.kill().await;
            pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
            pipeline.let_time_pass().await?;
            stack.event_source.resume();
        }
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}
