//! The choices of the operator and of a recording's metadata.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use local::{
    recall::{Meeting, Metadata, Status, Target, WebhookFault},
    stack::{DEAD_LETTER_QUEUE, WORK_QUEUE},
    wire::{Fault, Service, When},
};
use serde_json::{Value, json};
use tests::{Pipeline, PipelineTest, pipeline_test};
use uuid::Uuid;

fn done(recording: Uuid) -> Vec<u8> {
    json!({"event": "recording.done", "data": {"recording": {"id": recording}}}).to_string().into_bytes()
}

/// Returns the details of all events of this type.
fn announced(pipeline: &Pipeline, detail_type: &str) -> Vec<Value> {
    let events = pipeline.stack.bus.events();
    let of = events.into_iter().filter(|event| event.detail_type == detail_type);
    of.map(|event| Value::Object(event.detail)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_transcript_is_announced_after_its_manifest() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        let manifest = pipeline.ends_stored(recording).await?;
        pipeline.simulator().redeliver_all(recording);
        pipeline.simulator().wait_until_delivered().await;
        pipeline.settles().await?;
        let details = announced(&pipeline, "Transcript Stored");
        let [detail] = details.as_slice() else { panic!("{details:?}") };
        let transcript = manifest["transcript_id"].as_str().context("an id")?;
        assert_eq!(detail["id"], format!("{transcript}:stored"));
        assert_eq!(
            (&detail["recording_id"], &detail["transcript_id"]),
            (&json!(recording), &manifest["transcript_id"])
        );
        assert_eq!((&detail["status"], &detail["attempt"]), (&json!("stored"), &json!(1)));
        assert_eq!((&detail["provider"], &detail["bucket"]), (&json!("recallai_async"), &json!("transcripts")));
        assert_eq!(detail["manifest_key"], format!("recordings/{recording}/{transcript}/manifest.json"));
        assert_eq!(detail["counts"]["words"], manifest["counts"]["words"]);
        assert_eq!(pipeline.stack.bus.events()[0].source, "recall-transcripts");
        Ok(())
    })
    .await
}

/// The event bus loses its answer, or is down for longer than the SDK retries: the same `detail.id` is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_is_repeated_until_it_is_confirmed() -> Result<()> {
    for (when, fault) in [(When::After, Fault::Drop), (When::Before, Fault::Answer { status: 503, retry_after: None })]
    {
        pipeline_test(async |pipeline| {
            pipeline.stack.wire.inject(Service::EventBridge, "PutEvents", when, fault, 4);
            let recording = pipeline.simulator().play(Meeting::short(1));
            pipeline.ends_stored(recording).await?;
            let ids: Vec<Value> =
                announced(&pipeline, "Transcript Stored").into_iter().map(|detail| detail["id"].clone()).collect();
            assert!(!ids.is_empty() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_chain_ends_as_failed_and_is_announced() -> Result<()> {
    let test = PipelineTest::with_env(&[("TRIES_PER_PROVIDER", "1")]);
    test.run(async |pipeline| {
        pipeline.simulator().faults().fail_transcription(Target::next(1), Some("provider_connection_failed"));
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.reaches(recording, "failed").await?;
        pipeline.settles().await?;
        let job = pipeline.job(recording)?.context("no job")?;
        assert_eq!(job["transcripts"][0]["sub_code"], "provider_connection_failed");
        assert_eq!(job["transcript_count"], 1, "a failed transcript still exists");
        assert_eq!(pipeline.simulator().creates(recording), 1);
        let details = announced(&pipeline, "Transcript Failed");
        assert_eq!(details.len(), 1, "{details:?}");
        assert_eq!((&details[0]["status"], &details[0]["attempt"]), (&json!("failed"), &json!(1)));
        assert_eq!(details[0]["sub_code"], "provider_connection_failed");
        Ok(())
    })
    .await
}

/// An operator requests one more attempt, and the message comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_pays_for_one_more_attempt_and_only_once() -> Result<()> {
    let test = PipelineTest::with_env(&[("TRIES_PER_PROVIDER", "1")]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        simulator.faults().fail_transcription(Target::next(1), Some("provider_connection_failed"));
        let recording = simulator.play(Meeting::short(1));
        pipeline.reaches(recording, "failed").await?;
        pipeline.settles().await?;
        let retry = json!({"recording_id": recording, "event": "retry", "after_attempt": 1}).to_string();
        pipeline.stack.queues.send(WORK_QUEUE, &retry, &[]).await?;
        pipeline.stack.queues.send(WORK_QUEUE, &retry, &[]).await?;
        pipeline.reaches(recording, "stored").await?;
        pipeline.stack.queues.send(WORK_QUEUE, &retry, &[]).await?;
        pipeline.settles().await?;
        let job = pipeline.job(recording)?.context("no job")?;
        assert_eq!((&job["attempts"], simulator.creates(recording)), (&json!(2), 2), "{job}");
        // Without the attempt that the sender saw, the message could be applied twice, so it is refused.
        let unsafe_retry = json!({"recording_id": recording, "event": "retry"}).to_string();
        pipeline.stack.queues.send(WORK_QUEUE, &unsafe_retry, &[]).await?;
        pipeline.settles().await?;
        assert_eq!((pipeline.dead_letters().await?.len(), simulator.creates(recording)), (1, 2));
        Ok(())
    })
    .await
}

/// A job that ended without a transcript is in the index `attention` until a person dismisses this end.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_needs_attention_until_it_is_dismissed() -> Result<()> {
    let test = PipelineTest::with_env(&[("TRIES_PER_PROVIDER", "1")]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        simulator.faults().fail_transcription(Target::next(2), Some("provider_connection_failed"));
        let recording = simulator.play(Meeting::short(1));
        pipeline.reaches(recording, "failed").await?;
        pipeline.settles().await?;
        let row = pipeline.job(recording)?.context("no job")?;
        assert!(row["attention_shard"].is_string() && row["ended_at"].is_number(), "{row}");
        let ended_at = row["ended_at"].as_i64().context("no end")?;
        let dismiss = |ended_at: i64| {
            let message =
                json!({"recording_id": recording, "event": "dismiss", "ended_at": ended_at, "reason": "a test call"});
            message.to_string()
        };
        pipeline.stack.queues.send(WORK_QUEUE, &dismiss(ended_at - 1), &[]).await?;
        pipeline.settles().await?;
        assert_eq!(pipeline.job(recording)?.context("no job")?["version"], row["version"], "it names another end");
        pipeline.stack.queues.send(WORK_QUEUE, &dismiss(ended_at), &[]).await?;
        pipeline.settles().await?;
        let dismissed = pipeline.job(recording)?.context("no job")?;
        assert!(dismissed["attention_shard"].is_null() && dismissed["dismissed_at"].is_number(), "{dismissed}");
        assert_eq!((&dismissed["status"], &dismissed["ended_at"]), (&json!("failed"), &row["ended_at"]));
        // The next attempt fails as well, and that is another end.
        let retry = json!({"recording_id": recording, "event": "retry", "after_attempt": 1}).to_string();
        pipeline.stack.queues.send(WORK_QUEUE, &retry, &[]).await?;
        let is_new = || Ok(pipeline.job(recording)?.is_some_and(|job| job["attention_shard"].is_string()));
        pipeline.wait_until("the next end", is_new).await?;
        let again = pipeline.job(recording)?.context("no job")?;
        assert!(again["ended_at"].as_i64() > Some(ended_at) && again["dismissed_at"].is_null(), "{again}");
        pipeline.settles().await?;
        Ok(())
    })
    .await
}

/// Two deployments share one workspace, and this one deletes recordings: the other's transcript stays, and so does the
/// recording.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_stays_while_another_deployments_transcript_is_on_it() -> Result<()> {
    let env = [("DELETE_AFTER_STORE", "recording"), ("DEPLOYMENT", "ours")];
    let test = PipelineTest::with_env(&env);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        let recording = simulator.add_recording(Meeting::short(1));
        let metadata = [("job", json!(recording)), ("attempt", json!("1")), ("deployment", json!("theirs"))];
        let metadata: Metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let theirs = simulator.add_transcript(recording, "deepgram_async", metadata);
        let theirs = theirs.context("no transcript")?;
        simulator.wait_for_status(theirs, Status::Done).await;
        assert_eq!(pipeline.deliver(&done(recording)).await?.status, 200);
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        assert_eq!(simulator.transcript(theirs).context("no transcript")?.status, Status::Done);
        assert!(pipeline.job(recording)?.context("no job")?["recording"]["state"] == "done");
        Ok(())
    })
    .await
}

/// Other clients have used up Recall's own limit, and their webhooks never came: the list explains the 400.
#[tokio::test(flavor = "multi_thread")]
async fn a_400_at_recalls_limit_parks_the_job() -> Result<()> {
    let test = PipelineTest::with_env(&[("COPY_UNREQUESTED", "false")]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        simulator.faults().webhook("transcript.", 20, WebhookFault::Dropped);
        let recording = simulator.add_recording(Meeting::short(1));
        for _ in 0..10 {
            let id = simulator.add_transcript(recording, "deepgram_async", Metadata::new()).context("no transcript")?;
            // The webhooks of this transcript are among the twenty dropped ones.
            simulator.wait_for_status(id, Status::Done).await;
        }
        assert_eq!(pipeline.deliver(&done(recording)).await?.status, 200);
        pipeline.reaches(recording, "limit_reached").await?;
        pipeline.settles().await?;
        let job = pipeline.job(recording)?.context("no job")?;
        assert_eq!((&job["transcript_count"], simulator.creates(recording)), (&json!(10), 0), "{job}");
        assert_eq!(announced(&pipeline, "Transcript Failed")[0]["status"], "limit_reached");
        // An operator deletes one: the job continues by itself.
        let first = simulator.transcripts(recording)[0].id;
        assert!(simulator.delete_transcript(first));
        pipeline.reaches(recording, "stored").await?;
        assert_eq!(simulator.creates(recording), 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_transcript_makes_room_if_configured() -> Result<()> {
    let test = PipelineTest::with_env(&[("MAX_TRANSCRIPTS_PER_RECORDING", "1"), ("ON_LIMIT", "delete_failed")]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        let recording = simulator.add_recording(Meeting::short(1));
        simulator.faults().fail_transcription(Target::next(1), None);
        let theirs = simulator.add_transcript(recording, "deepgram_async", Metadata::new()).context("no transcript")?;
        pipeline.reaches(recording, "skipped").await?;
        pipeline.settles().await?;
        assert_eq!(pipeline.deliver(&done(recording)).await?.status, 200);
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        assert_eq!(simulator.transcript(theirs).context("no transcript")?.status, Status::Deleted);
        assert_eq!(simulator.creates(recording), 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_stored_transcript_makes_room_if_configured() -> Result<()> {
    let test = PipelineTest::with_env(&[("MAX_TRANSCRIPTS_PER_RECORDING", "1"), ("ON_LIMIT", "delete_stored")]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        let recording = simulator.add_recording(Meeting::short(1));
        let theirs = simulator.add_transcript(recording, "deepgram_async", Metadata::new()).context("no transcript")?;
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        // If the copy is not as the row says, its original is kept.
        pipeline.stack.wire.inject(
            Service::S3,
            "HEAD",
            When::Before,
            Fault::Answer { status: 404, retry_after: None },
            1,
        );
        assert_eq!(pipeline.deliver(&done(recording)).await?.status, 200);
        pipeline.wait_until("a copy that is not as stored", || Ok(logged(&pipeline, "copy.mismatched"))).await?;
        pipeline.settles().await?;
        assert_eq!(simulator.transcript(theirs).context("no transcript")?.status, Status::Done);
        assert_eq!(simulator.creates(recording), 0);

        let recording = simulator.add_recording(Meeting::short(2));
        let theirs = simulator.add_transcript(recording, "deepgram_async", Metadata::new()).context("no transcript")?;
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        assert_eq!(pipeline.deliver(&done(recording)).await?.status, 200);
        pipeline.wait_until("two copies", || Ok(pipeline.manifests(recording)?.len() == 2)).await?;
        pipeline.settles().await?;
        assert_eq!(simulator.transcript(theirs).context("no transcript")?.status, Status::Deleted);
        assert_eq!((simulator.creates(recording), pipeline.status(recording)?.as_deref()), (1, Some("stored")));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_transcript_is_deleted_at_recall_if_configured() -> Result<()> {
    for wanted in ["transcript", "recording"] {
        let test = PipelineTest::with_env(&[("DELETE_AFTER_STORE", wanted)]);
        test.run(async |pipeline| {
            let simulator = pipeline.simulator();
            let recording = simulator.play(Meeting::large(12_000_000));
            pipeline.reaches(recording, "stored").await?;
            let transcript = simulator.transcripts(recording)[0].id;
            let gone = || Ok(simulator.transcript(transcript).is_some_and(|one| one.status == Status::Deleted));
            pipeline.wait_until("the transcript to be gone", gone).await?;
            pipeline.settles().await?;
            let whole = simulator.recording(recording).context("no recording")?.status == Status::Deleted;
            assert_eq!(whole, wanted == "recording");
            // Size and checksum of the copy were read back before the deletion.
            assert!(pipeline.stack.wire.count(Service::S3, "HEAD") >= 2);
            assert_eq!((pipeline.manifests(recording)?.len(), simulator.creates(recording)), (1, 1));
            let job = pipeline.job(recording)?.context("no job")?;
            assert_eq!((&job["status"], &job["transcript_count"]), (&json!("stored"), &json!(0)), "{job}");
            assert!(job.get("due_at").is_none(), "{job}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// A file in which no word was found may hold something that only Recall can provide again.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_changed_format_is_kept_at_recall() -> Result<()> {
    for wanted in ["transcript", "recording"] {
        let test = PipelineTest::with_env(&[("DELETE_AFTER_STORE", wanted)]);
        test.run(async |pipeline| {
            let simulator = pipeline.simulator();
            let file = br#"[{"participant": {"id": 1}, "tokens": ["Hi"]}, {"participant": {"id": 2}, "tokens": []}]"#;
            let recording = simulator.play(Meeting::with_content(Bytes::from_static(file)));
            let manifest = pipeline.ends_stored(recording).await?;
            pipeline.settles().await?;
            assert_eq!((&manifest["empty"], &manifest["skipped_values"]), (&json!(false), &json!(2)), "{manifest}");
            assert_eq!(manifest["rendering_error"], "no words were found in 2 entries");
            assert_eq!(pipeline.stack.wire.count(Service::Recall, "DELETE "), 0);
            assert_eq!(simulator.transcripts(recording)[0].status, Status::Done);
            let logs = pipeline.stack.logs();
            for metric in ["\"RenderingErrors\":1", "\"SkippedValues\":2"] {
                assert!(logs.iter().any(|line| line.contains(metric)), "no {metric}");
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// S3 does not answer, so the copy cannot be verified.
#[tokio::test(flavor = "multi_thread")]
async fn an_unverified_copy_keeps_its_original() -> Result<()> {
    for wanted in ["transcript", "recording"] {
        let test = PipelineTest::with_env(&[("DELETE_AFTER_STORE", wanted)]);
        test.run(async |pipeline| {
            let (simulator, wire) = (pipeline.simulator(), &pipeline.stack.wire);
            let refused = Fault::Answer { status: 503, retry_after: None };
            let recording = simulator.play(Meeting::short(1));
            // The copy looks for an earlier one. Later reads are made for the deletion.
            pipeline.wait_until("the copy to begin", || Ok(wire.count(Service::S3, "HEAD") > 0)).await?;
            wire.inject(Service::S3, "HEAD", When::Before, refused, usize::MAX);
            pipeline.reaches(recording, "stored").await?;
            for tries in 1..=2 {
                let tried = || pipeline.stack.logs().iter().filter(|line| line.contains("copy.not_verified")).count();
                pipeline.wait_until("a question that S3 refuses", || Ok(tried() >= tries)).await?;
                pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
                assert_eq!(wire.count(Service::Recall, "DELETE "), 0);
                if tries == 2 {
                    wire.calm();
                }
                pipeline.let_time_pass().await?;
            }
            let transcript = simulator.transcripts(recording)[0].id;
            let gone = || Ok(simulator.transcript(transcript).is_some_and(|one| one.status == Status::Deleted));
            pipeline.wait_until("the transcript to be gone", gone).await?;
            pipeline.settles().await?;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_may_skip_a_recording() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1).bot_metadata("transcript", "skip"));
        pipeline.reaches(recording, "skipped").await?;
        pipeline.settles().await?;
        let job = pipeline.job(recording)?.context("no job")?;
        assert!(job.get("due_at").is_none() && pipeline.simulator().creates(recording) == 0, "{job}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_may_choose_provider_and_language() -> Result<()> {
    let chain = r#"[{"recallai_async": {}}, {"deepgram_async": {"model": "nova-3"}}]"#;
    let test = PipelineTest::with_env(&[("TRANSCRIPT_PROVIDERS", chain)]);
    test.run(async |pipeline| {
        let meeting = Meeting::short(1)
            .bot_metadata("transcript_provider", "recallai_async")
            .metadata("transcript_provider", "deepgram_async")
            .metadata("transcript_language", "de");
        let recording = pipeline.simulator().play(meeting);
        pipeline.ends_stored(recording).await?;
        let provider = Value::Object(pipeline.simulator().transcripts(recording)[0].provider.clone());
        assert_eq!(provider, json!({"deepgram_async": {"model": "nova-3", "language": "de"}}));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_metadata_is_logged_and_ignored() -> Result<()> {
    pipeline_test(async |pipeline| {
        let meeting = Meeting::short(1)
            .metadata("transcript", "please")
            .metadata("transcript_provider", "../../etc/passwd")
            .metadata("transcript_language", "<script>");
        let recording = pipeline.simulator().play(meeting);
        pipeline.ends_stored(recording).await?;
        let ignored =
            pipeline.stack.logs().into_iter().filter(|line| line.contains("override.ignored")).collect::<Vec<_>>();
        assert_eq!(ignored.len(), 3, "{ignored:?}");
        assert!(!ignored.iter().any(|line| line.contains("passwd") || line.contains("script>")), "{ignored:?}");
        Ok(())
    })
    .await
}

/// A message that can never be processed goes to the dead-letter queue at once, with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_message_is_parked_with_the_reason() -> Result<()> {
    pipeline_test(async |pipeline| {
        for body in ["nonsense", r#"{"recording_id": "../x", "event": "wake"}"#, r#"{"event": "wake"}"#] {
            pipeline.stack.queues.send(WORK_QUEUE, body, &[]).await?;
        }
        pipeline.settles().await?;
        let parked = pipeline.stack.queues.messages(DEAD_LETTER_QUEUE).await?;
        assert_eq!(parked.len(), 3);
        assert!(parked.iter().all(|message| message.attributes["reason"].value.contains("not a message of ours")));
        Ok(())
    })
    .await
}

fn logged(pipeline: &Pipeline, text: &str) -> bool {
    pipeline.stack.logs().iter().any(|line| line.contains(text))
}

/// The bot made a transcript of its own, whose webhooks never come: the recording must not be deleted before it is
/// stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_not_deleted_before_all_of_its_transcripts_are_stored() -> Result<()> {
    let test = PipelineTest::with_env(&[("DELETE_AFTER_STORE", "recording")]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        let recording = simulator.add_recording(Meeting::short(1));
        simulator.faults().webhook("transcript.", 2, WebhookFault::Dropped);
        let id = simulator.add_transcript(recording, "recallai_streaming", Metadata::new()).context("no transcript")?;
        simulator.wait_for_status(id, Status::Done).await;
        assert_eq!(pipeline.deliver(&done(recording)).await?.status, 200);
        let gone = || Ok(simulator.recording(recording).is_none_or(|recording| recording.status == Status::Deleted));
        pipeline.wait_until("the recording is deleted at Recall", gone).await?;
        let copies = pipeline.manifests(recording)?;
        let mut providers: Vec<&str> = copies.iter().filter_map(|copy| copy["provider"].as_str()).collect();
        providers.sort_unstable();
        assert_eq!(providers, ["recallai_async", "recallai_streaming"]);
        Ok(())
    })
    .await
}

/// A transcript with another deployment's name is not ours, even if it names the same attempt.
#[tokio::test(flavor = "multi_thread")]
async fn two_deployments_have_separate_transcripts() -> Result<()> {
    let test = PipelineTest::with_env(&[("DEPLOYMENT", "staging"), ("COPY_UNREQUESTED", "false")]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        let recording = simulator.add_recording(Meeting::short(1));
        let of_production = json!({"job": recording, "attempt": "1"}).as_object().cloned().context("an object")?;
        simulator.add_transcript(recording, "recallai_async", of_production).context("no transcript")?;
        assert_eq!(pipeline.deliver(&done(recording)).await?.status, 200);
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        assert_eq!(simulator.creates(recording), 1, "it requests its own transcript");
        let manifests = pipeline.manifests(recording)?;
        let [manifest] = manifests.as_slice() else { panic!("{manifests:?}") };
        let ours = simulator.transcripts(recording).into_iter().find(|one| manifest["transcript_id"] == json!(one.id));
        let metadata = ours.context("not at Recall")?.metadata;
        assert_eq!(metadata["deployment"], "staging");
        Ok(())
    })
    .await
}
