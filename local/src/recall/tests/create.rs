//! create_transcript: refusals, idempotency, and failures.

use std::time::Duration;

use anyhow::Result;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Lab, id_of, soon};
use crate::recall::{Limits, Meeting, SimulatorConfig, Status, Target};
use crate::wire::{Fault, Service, When};

#[tokio::test]
async fn invalid_bodies_are_refused() -> Result<()> {
    let lab = Lab::with_limits(|limits| limits.creates_per_minute = 100).await?;
    let recording = lab.recall.add_recording(Meeting::silent());
    let path = format!("/api/v1/recording/{recording}/create_transcript/");
    let long = "x".repeat(501);
    let cases = [
        (json!({}), json!({"provider": ["This field is required."]})),
        (json!({"provider": {}}), json!({"provider": ["A provider is required."]})),
        (
            json!({"provider": {"recallai_streaming": {}}}),
            json!({"provider": {"recallai_streaming": ["This is not an async provider."]}}),
        ),
        (
            json!({"provider": {"recallai_async": {}}, "metadata": {"note": long}}),
            json!({"metadata": {"note": ["Ensure this field has no more than 500 characters."]}}),
        ),
    ];
    for (body, problem) in cases {
        let answer = lab.call(Method::POST, &path, &[], &body.to_string()).await?;
        assert_eq!((answer.status, answer.json()?), (StatusCode::BAD_REQUEST, problem));
    }
    assert_eq!(lab.call(Method::POST, &path, &[], "{").await?.json()?["code"], "parse_error");
    assert_eq!(lab.create(Uuid::new_v4(), None).await?.status, StatusCode::NOT_FOUND);
    assert_eq!(lab.recall.creates(recording), 0);
    Ok(())
}

#[tokio::test]
async fn recordings_that_cannot_be_transcribed() -> Result<()> {
    let lab = Lab::quick().await?;
    let mute = lab.recall.add_recording(Meeting::silent().without_media());
    let running = lab.recall.start_recording(Meeting::silent());
    for recording in [mute, running] {
        let answer = lab.create(recording, None).await?;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(super::keys_of(&answer.json()?), ["code", "detail"]);
    }
    assert!(lab.recall.finish_recording(running));
    assert_eq!(lab.create(running, None).await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_key_pays_once() -> Result<()> {
    let lab = Lab::with_limits(|limits| limits.creates_per_minute = 100).await?;
    let (one, two) = (lab.recall.add_recording(Meeting::silent()), lab.recall.add_recording(Meeting::silent()));
    let first = lab.create(one, Some("a:1")).await?.json()?;
    // Another body makes no difference, and the replay has the first answer, not the current state.
    let path = format!("/api/v1/recording/{one}/create_transcript/");
    let replay = lab.call(Method::POST, &path, &[("Idempotency-Key", "a:1")], "{}").await?;
    assert_eq!((replay.status, replay.json()?), (StatusCode::OK, first));
    assert_eq!(lab.recall.creates(one), 1);
    assert_eq!(lab.recall.transcripts(one)[0].idempotency_key.as_deref(), Some("a:1"));
    // The path is part of the key.
    lab.create(two, Some("a:1")).await?;
    assert_eq!(lab.recall.creates(two), 1);
    // Errors are replayed as well.
    let refused = lab.call(Method::POST, &path, &[("Idempotency-Key", "a:2")], "{}").await?;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(lab.create(one, Some("a:2")).await?.status, StatusCode::BAD_REQUEST);
    assert_eq!(lab.create(one, Some("a:3")).await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_key_is_forgotten_after_its_hour() -> Result<()> {
    // The hour of a key is 36 ms here.
    let lab = Lab::start(SimulatorConfig { speed: 100_000.0, ..SimulatorConfig::default() }).await?;
    let recording = lab.recall.add_recording(Meeting::silent());
    lab.create(recording, Some("a:1")).await?;
    tokio::time::sleep(Duration::from_millis(40)).await;
    lab.create(recording, Some("a:1")).await?;
    assert_eq!(lab.recall.creates(recording), 2);
    Ok(())
}

#[tokio::test]
async fn a_running_key_conflicts() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::silent());
    lab.recall.faults().slow_create(Target::next(1), Duration::from_millis(100));
    let (first, second) = tokio::join!(lab.create(recording, Some("a:1")), async {
        soon(lab.recall.wait_for_transcripts(recording, 1)).await?;
        lab.create(recording, Some("a:1")).await
    });
    assert_eq!((first?.status, second?.status), (StatusCode::OK, StatusCode::CONFLICT));
    assert_eq!(lab.recall.creates(recording), 1);
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_is_replayed() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::silent());
    lab.wire.inject(Service::Recall, "create_transcript", When::After, Fault::Drop, 1);
    assert!(lab.create(recording, Some("a:1")).await.is_err());
    let replayed = lab.create(recording, Some("a:1")).await?;
    assert_eq!(id_of(&replayed.json()?)?, lab.recall.transcripts(recording)[0].id);
    assert_eq!(lab.recall.creates(recording), 1);
    Ok(())
}

#[tokio::test]
async fn transcripts_of_a_recording_are_limited_to_ten() -> Result<()> {
    let lab = Lab::with_limits(|limits| limits.creates_per_minute = 100).await?;
    let recording = lab.recall.add_recording(Meeting::silent());
    for _ in 0..10 {
        assert_eq!(lab.create(recording, None).await?.status, StatusCode::OK);
    }
    let answer = lab.create(recording, None).await?;
    assert_eq!((answer.status, super::keys_of(&answer.json()?)), (StatusCode::BAD_REQUEST, vec!["code", "detail"]));
    let first = lab.recall.transcripts(recording)[0].id;
    assert_eq!(lab.delete(&format!("/api/v1/transcript/{first}/")).await?.status, StatusCode::NO_CONTENT);
    assert_eq!(lab.create(recording, None).await?.status, StatusCode::OK);
    assert_eq!(lab.recall.creates(recording), 11);
    Ok(())
}

#[tokio::test]
async fn creates_of_a_bot_are_limited_to_five_a_minute() -> Result<()> {
    let lab = Lab::quick().await?;
    let bot = Uuid::new_v4();
    let recordings: Vec<Uuid> = (0..2).map(|_| lab.recall.add_recording(Meeting::silent().by_bot(bot))).collect();
    for attempt in 0..5 {
        assert_eq!(lab.create(recordings[attempt % 2], None).await?.status, StatusCode::OK);
    }
    let refused = lab.create(recordings[1], None).await?;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "60"));
    let other = lab.recall.add_recording(Meeting::silent());
    assert_eq!(lab.create(other, None).await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_fast_minute_is_soon_over() -> Result<()> {
    // A minute is 60 ms here, but Retry-After is still a whole second.
    let limits = Limits { creates_per_minute: 1, ..Limits::default() };
    let lab = Lab::start(SimulatorConfig { speed: 1000.0, limits, ..SimulatorConfig::default() }).await?;
    let recording = lab.recall.add_recording(Meeting::silent());
    let answers = [lab.create(recording, None).await?, lab.create(recording, None).await?];
    for refused in answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS) {
        assert_eq!(refused.header("retry-after"), "1");
    }
    tokio::time::sleep(Duration::from_millis(65)).await;
    assert_eq!(lab.create(recording, None).await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn transcriptions_that_fail_or_never_end() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::silent());
    lab.recall.faults().fail_transcription(Target::recording(recording).times(1), Some("provider_connection_failed"));
    let id = id_of(&lab.create(recording, None).await?.json()?)?;
    let failed = soon(lab.recall.wait_for_status(id, Status::Failed)).await?;
    assert_eq!(failed.sub_code.as_deref(), Some("provider_connection_failed"));
    let shown = lab.get(&format!("/api/v1/transcript/{id}/")).await?.json()?;
    assert_eq!((&shown["status"]["code"], &shown["data"]["download_url"]), (&json!("failed"), &Value::Null));

    lab.recall.faults().never_transcribe(Target::next(1));
    let id = id_of(&lab.create(recording, None).await?.json()?)?;
    assert_eq!(lab.recall.transcript(id).map(|found| found.status), Some(Status::Processing));
    assert!(lab.recall.finish_transcription(id, Ok(())));
    assert!(!lab.recall.finish_transcription(id, Err(None)));
    assert_eq!(lab.recall.transcript(id).map(|found| found.status), Some(Status::Done));
    Ok(())
}

#[tokio::test]
async fn unrequested_transcripts_are_not_creates() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::silent());
    assert!(lab.recall.add_transcript(recording, "meeting_captions", serde_json::Map::new()).is_some());
    assert_eq!((lab.recall.creates(recording), lab.recall.transcripts(recording).len()), (0, 1));
    Ok(())
}
