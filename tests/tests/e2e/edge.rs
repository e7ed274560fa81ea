//! Unusual events lead to a named state.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use local::recall::{Meeting, Metadata, Target};
use serde_json::{Value, json};
use tests::{PipelineTest, past, pipeline_test};

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_recording_ends_as_failed() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().recording_failed(Meeting::short(1), Some("internal_error"));
        pipeline.reaches(recording, "failed").await?;
        let job = pipeline.job(recording)?.context("no job")?;
        assert_eq!(job["recording"]["sub_code"], "internal_error");
        assert_eq!(pipeline.simulator().creates(recording), 0);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_deleted_while_transcribing_is_lost() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.simulator().faults().never_transcribe(Target::next(1));
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.reaches(recording, "transcribing").await?;
        pipeline.settles().await?;
        assert!(pipeline.simulator().delete_recording(recording));
        pipeline.reaches(recording, "lost").await?;
        pipeline.settles().await?;
        let job = pipeline.job(recording)?.context("no job")?;
        assert_eq!(job["transcript_count"], 0);
        assert!(job.get("due_at").is_none(), "{job}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcript_deleted_before_its_copy_is_lost() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.simulator().faults().never_transcribe(Target::next(1));
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.reaches(recording, "transcribing").await?;
        let transcript = pipeline.simulator().transcripts(recording)[0].id;
        assert!(pipeline.simulator().delete_transcript(transcript));
        pipeline.reaches(recording, "lost").await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_transcript_stays_stored_when_recall_deletes_it() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        assert!(pipeline.simulator().delete_recording(recording));
        let row = || pipeline.job(recording)?.context("no job");
        pipeline.wait_until("the slot to be free", || Ok(row()?["transcript_count"] == 0)).await?;
        assert_eq!(row()?["status"], "stored");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unrequested_transcript_is_copied_too() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        pipeline.simulator().add_transcript(recording, "deepgram_async", Metadata::new()).context("no transcript")?;
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        let manifests = pipeline.manifests(recording)?;
        assert_eq!((&manifests[0]["attempt"], &manifests[0]["provider"]), (&Value::Null, &json!("deepgram_async")));
        assert_eq!(pipeline.simulator().creates(recording), 0);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn unrequested_transcripts_count_toward_the_limit() -> Result<()> {
    let test = PipelineTest::with(|config, _| {
        config.env = vec![("MAX_TRANSCRIPTS_PER_RECORDING".to_owned(), "1".to_owned())];
    });
    test.run(async |pipeline| {
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        pipeline.simulator().add_transcript(recording, "deepgram_async", Metadata::new()).context("no transcript")?;
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        let reply = pipeline
            .deliver(
                json!({"event": "recording.done", "data": {"recording": {"id": recording}}}).to_string().as_bytes(),
            )
            .await?;
        assert_eq!(reply.status, 200);
        assert_eq!(pipeline.simulator().creates(recording), 0);
        let job = pipeline.job(recording)?.context("no job")?;
        assert_eq!((&job["hold"]["hold"], &job["transcript_count"]), (&json!("limit_reached"), &json!(1)), "{job}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_a_transcript_is_stored_unchanged() -> Result<()> {
    pipeline_test(async |pipeline| {
        for content in
            [&b"<html>not a transcript</html>"[..], b"[{\"participant\": {}, \"words\": [{\"text\": \"cut", b"{}"]
        {
            let recording = pipeline.simulator().play(Meeting::with_content(Bytes::from_static(content)));
            let manifest = pipeline.ends_stored(recording).await?;
            assert!(manifest["rendering_error"].is_string(), "{manifest}");
            assert_eq!(manifest["empty"], false);
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_values_in_recalls_answers_are_tolerated() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recordings = [1, 2, 3].map(|seed| pipeline.simulator().add_recording(past(Meeting::short(seed))));
        for recording in recordings {
            let faults = pipeline.simulator().faults();
            let target = Target::recording(recording);
            let values = [("/bot", json!({})), ("/status/sub_code", json!({"code": 7})), ("/metadata", json!(7))];
            faults.show_recording_with(target, &values);
            let values = [("/status/sub_code", json!([1])), ("/provider", json!(7)), ("/created_at", json!(7))];
            faults.show_transcript_with(target, &values);
        }
        // The pipeline learns of one recording from a delivery, which is as odd as the rest, and of the others only
        // from Recall's list.
        let body = json!({"event": "recording.done", "data": {
            "data": {"sub_code": {"code": 7}, "updated_at": 5},
            "recording": {"id": recordings[0], "metadata": {}}, "bot": {"id": null},
        }});
        assert_eq!(pipeline.deliver(body.to_string().as_bytes()).await?.status, 200);
        pipeline.sweep().await?;
        for recording in recordings {
            assert_eq!(pipeline.ends_stored(recording).await?["provider"], Value::Null);
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_of_one_bot_are_separate_jobs() -> Result<()> {
    pipeline_test(async |pipeline| {
        let bot = uuid::Uuid::from_u128(77);
        let recordings = [1, 2].map(|seed| pipeline.simulator().play(Meeting::short(seed).by_bot(bot)));
        for recording in recordings {
            assert_eq!(pipeline.ends_stored(recording).await?["bot_id"], bot.to_string());
        }
        Ok(())
    })
    .await
}
