//! Filters, pages, limits, and lag of the lists.

use std::time::Duration;

use anyhow::Result;
use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Lab, id_of};
use crate::recall::{Meeting, Target};

fn ids(page: &Value) -> Result<Vec<Uuid>> {
    page["results"].as_array().into_iter().flatten().map(id_of).collect()
}

#[tokio::test]
async fn pages_follow_each_other() -> Result<()> {
    let lab = Lab::with_limits(|limits| limits.page_size = 2).await?;
    let now = time::OffsetDateTime::now_utc();
    let mut made: Vec<Uuid> = (1..=5)
        .map(|minutes| {
            let meeting = Meeting::silent().metadata("team", "blue and green");
            lab.recall.add_recording(meeting.started_at(now + time::Duration::minutes(minutes)))
        })
        .collect();
    lab.recall.add_recording(Meeting::silent().metadata("team", "red"));
    made.reverse();

    let filter = "metadata__team=blue+and+green&status_code=done";
    let first = lab.get(&format!("/api/v1/recording/?{filter}")).await?.json()?;
    assert_eq!((ids(&first)?, &first["previous"]), (made[..2].to_vec(), &Value::Null));
    // The link is a complete URL and keeps the filters. Entries that are newer than the cursor do not move the page.
    lab.recall
        .add_recording(Meeting::silent().metadata("team", "blue and green").started_at(now + Duration::from_secs(600)));
    let next = |page: &Value| page["next"].as_str().unwrap_or_default().replace(lab.recall.base_url(), "");
    let second = lab.get(&next(&first)).await?.json()?;
    assert_eq!(ids(&second)?, made[2..4]);
    let third = lab.get(&next(&second)).await?.json()?;
    assert_eq!((ids(&third)?, &third["next"]), (made[4..].to_vec(), &Value::Null));
    let back = third["previous"].as_str().unwrap_or_default().replace(lab.recall.base_url(), "");
    assert_eq!(ids(&lab.get(&back).await?.json()?)?, made[2..4]);
    assert_eq!(lab.get("/api/v1/recording/?cursor=nonsense").await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn filters_select_entries() -> Result<()> {
    let lab = Lab::quick().await?;
    let now = time::OffsetDateTime::now_utc();
    let bot = Uuid::new_v4();
    let old = lab.recall.add_recording(Meeting::silent().started_at(now - time::Duration::days(3)).by_bot(bot));
    let new = lab.recall.add_recording(Meeting::silent());
    let failed = lab.recall.recording_failed(Meeting::silent(), None);
    let since = crate::recall::clock::api_time(now - time::Duration::days(1));
    let cases = [
        (format!("created_at_after={since}&status_code=done"), vec![new]),
        (format!("created_at_before={since}"), vec![old]),
        (format!("bot_id={bot}"), vec![old]),
        ("status_code=failed".to_owned(), vec![failed]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&lab.get(&format!("/api/v1/recording/?{query}")).await?.json()?)?, expected, "{query}");
    }
    for query in ["status_code=deleted", "bot_id=1", "created_at_after=yesterday"] {
        assert_eq!(lab.get(&format!("/api/v1/recording/?{query}")).await?.status, StatusCode::BAD_REQUEST);
    }
    let transcript = lab.transcribe(new).await?;
    lab.transcribe(old).await?;
    let listed = lab.get(&format!("/api/v1/transcript/?recording_id={new}&status_code=done")).await?.json()?;
    assert_eq!(ids(&listed)?, [transcript]);
    assert!(listed["results"][0]["data"]["download_url"].is_string());
    Ok(())
}

#[tokio::test]
async fn odd_values_are_shown_in_lists_and_alone() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::silent());
    let transcript = lab.transcribe(recording).await?;
    lab.recall.faults().show_recording_with(Target::recording(recording), &[("/bot", json!({}))]);
    lab.recall.faults().show_transcript_with(Target::transcript(transcript), &[("/status/sub_code", json!([5]))]);
    for (path, pointer, odd) in [("recording", "bot", json!({})), ("transcript", "status/sub_code", json!([5]))] {
        let id = if path == "recording" { recording } else { transcript };
        let alone = lab.get(&format!("/api/v1/{path}/{id}/")).await?.json()?;
        assert_eq!(alone.pointer(&format!("/{pointer}")), Some(&odd));
        let listed = lab.get(&format!("/api/v1/{path}/")).await?.json()?;
        assert_eq!(listed.pointer(&format!("/results/0/{pointer}")), Some(&odd));
    }
    Ok(())
}

#[tokio::test]
async fn the_list_lags_behind() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::silent());
    let transcript = lab.transcribe(recording).await?;
    lab.recall.faults().list_lag(Duration::from_secs(60));
    assert!(ids(&lab.get("/api/v1/transcript/").await?.json()?)?.is_empty());
    assert_eq!(lab.get(&format!("/api/v1/transcript/{transcript}/")).await?.status, StatusCode::OK);
    lab.recall.faults().list_lag(Duration::ZERO);
    assert_eq!(ids(&lab.get("/api/v1/transcript/").await?.json()?)?, [transcript]);
    Ok(())
}

#[tokio::test]
async fn list_calls_are_limited_to_sixty_a_minute() -> Result<()> {
    let lab = Lab::with_limits(|limits| limits.lists_per_minute = 3).await?;
    for _ in 0..3 {
        assert_eq!(lab.get("/api/v1/transcript/").await?.status, StatusCode::OK);
    }
    let refused = lab.get("/api/v1/transcript/").await?;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "60"));
    assert_eq!(lab.get("/api/v1/recording/").await?.status, StatusCode::OK);
    Ok(())
}
