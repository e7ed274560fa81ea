//! Bots: their meeting URLs, and what goes wrong when they are retrieved.

use anyhow::Result;
use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Lab, keys_of};
use crate::{
    recall::{BotFault, MEETING_PASSWORD, Meeting, Target},
    wire::Service,
};

#[tokio::test]
async fn a_bot_shows_its_meeting_url_with_the_password() -> Result<()> {
    let lab = Lab::quick().await?;
    let id = Uuid::new_v4();
    for (meeting, platform, has_password) in [
        (Meeting::short(1).by_bot(id).bot_metadata("team", "sales"), "zoom", true),
        (Meeting::hour(1), "google_meet", false),
        (Meeting::japanese(1), "microsoft_teams", true),
        (Meeting::silent(), "webex", false),
    ] {
        let recording = lab.recall.add_recording(meeting);
        let bot = lab.recall.recording(recording).and_then(|view| view.bot_id).unwrap_or_default();
        let answer = lab.get(&format!("/api/v1/bot/{bot}/")).await?;
        let shown = answer.json()?;
        let fields = ["bot_name", "id", "join_at", "meeting_url", "metadata", "recordings", "status_changes"];
        assert_eq!((answer.status, keys_of(&shown)), (StatusCode::OK, fields.to_vec()));
        assert_eq!((&shown["meeting_url"]["platform"], &shown["id"]), (&json!(platform), &json!(bot)));
        assert_eq!(shown["meeting_url"].to_string().contains(MEETING_PASSWORD), has_password);
        assert_eq!(shown["recordings"][0]["id"], json!(recording));
        let codes: Vec<&Value> =
            shown["status_changes"].as_array().into_iter().flatten().map(|one| &one["code"]).collect();
        assert_eq!(codes, ["joining_call", "in_call_not_recording", "in_call_recording", "call_ended", "done"]);
    }
    let shown = lab.get(&format!("/api/v1/bot/{id}/")).await?.json()?;
    assert_eq!(shown["metadata"], json!({"team": "sales"}));
    assert_eq!(lab.wire.count(Service::Recall, &format!("GET /api/v1/bot/{id}/")), 2);

    let own = json!({"platform": "goto_meeting", "meeting_id": 7});
    let recording = lab.recall.start_recording(Meeting::silent().meeting_url(own.clone()));
    let bot = lab.recall.recording(recording).and_then(|view| view.bot_id).unwrap_or_default();
    let shown = lab.get(&format!("/api/v1/bot/{bot}/")).await?.json()?;
    assert_eq!((&shown["meeting_url"], shown["status_changes"].as_array().map(Vec::len)), (&own, Some(3)));
    Ok(())
}

#[tokio::test]
async fn bots_go_wrong() -> Result<()> {
    let lab = Lab::quick().await?;
    let (id, other) = (Uuid::new_v4(), Uuid::new_v4());
    let recording = lab.recall.add_recording(Meeting::short(1).by_bot(id));
    lab.recall.add_recording(Meeting::short(1).by_bot(other));
    let get = async |fault: Option<BotFault>| {
        if let Some(fault) = fault {
            lab.recall.faults().bot(Target::recording(recording).times(1), fault);
        }
        assert_eq!(lab.get(&format!("/api/v1/bot/{other}/")).await?.status, StatusCode::OK);
        lab.get(&format!("/api/v1/bot/{id}/")).await
    };
    assert_eq!(get(Some(BotFault::NotFound)).await?.status, StatusCode::NOT_FOUND);
    let throttled = get(Some(BotFault::Throttled { retry_after: 7 })).await?;
    assert_eq!((throttled.status, throttled.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "7"));
    let broken = get(Some(BotFault::Broken)).await?;
    assert!(broken.status == StatusCode::INTERNAL_SERVER_ERROR && broken.is_html());
    assert_eq!(get(Some(BotFault::NoMeetingUrl)).await?.json()?["meeting_url"], Value::Null);
    let url = get(Some(BotFault::NoPlatform)).await?.json()?["meeting_url"].take();
    assert_eq!(keys_of(&url), ["meeting_id", "meeting_password"]);
    assert_eq!(get(None).await?.json()?["meeting_url"]["platform"], "zoom");
    assert!(lab.recall.faults().unstruck().is_empty());
    Ok(())
}

#[tokio::test]
async fn bots_can_be_retrieved_three_hundred_times_a_minute() -> Result<()> {
    let lab = Lab::with_limits(|limits| limits.calls_per_minute = 3).await?;
    let id = Uuid::new_v4();
    lab.recall.add_recording(Meeting::silent().by_bot(id));
    let path = format!("/api/v1/bot/{id}/");
    for _ in 0..3 {
        assert_eq!(lab.get(&path).await?.status, StatusCode::OK);
    }
    let refused = lab.get(&path).await?;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=60).contains(&seconds)));
    assert_eq!(super::super::Limits::default().calls_per_minute, 300);
    Ok(())
}
