//! The people of a meeting with the usual settings.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use local::{
    recall::{CHAT_MESSAGE, MEETING_PASSWORD, Meeting, MeetingFile},
    wire::Service,
};
use serde_json::{Value, json};
use tests::pipeline_test;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{calls, check_verbatim, count, lines, meeting_line, names, objects_with, sources, text};

/// A person as Recall's files describe them.
#[derive(Debug, Default)]
struct Expected {
    ids: Vec<i64>,
    name: Value,
    email: Value,
    is_host: bool,
    stays: Vec<(OffsetDateTime, Option<OffsetDateTime>)>,
    words: usize,
}

fn time(text: &Value) -> Result<OffsetDateTime> {
    Ok(OffsetDateTime::parse(text.as_str().context("no time")?, &Rfc3339)?)
}

fn seconds(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Reads the people from Recall's files in a simple way, with the same static id for the same person.
fn expected(participants: &[Value], events: &[Value], turns: &[Value]) -> Result<BTreeMap<String, Expected>> {
    let mut people: BTreeMap<String, Expected> = BTreeMap::new();
    let mut of_id: BTreeMap<i64, String> = BTreeMap::new();
    for one in participants {
        let id = one["id"].as_i64().context("no id")?;
        let key = one["extra_data"]["google_meet"]["static_participant_id"].to_string();
        let person = people.entry(key.clone()).or_default();
        person.ids.push(id);
        (person.name, person.email) = (one["name"].clone(), one["email"].clone());
        person.is_host |= one["is_host"] == true;
        of_id.insert(id, key);
    }
    let key_of = |one: &Value| of_id.get(&one["participant"]["id"].as_i64()?);
    for event in events {
        let person = key_of(event).and_then(|key| people.get_mut(key)).context("an unknown person")?;
        match event["action"].as_str() {
            Some("join") => person.stays.push((time(&event["timestamp"]["absolute"])?, None)),
            Some("leave") => {
                person.stays.last_mut().context("no join")?.1 = Some(time(&event["timestamp"]["absolute"])?)
            }
            _ => {}
        }
    }
    for turn in turns {
        let person = key_of(turn).and_then(|key| people.get_mut(key)).context("an unknown person")?;
        person.words += turn["words"].as_array().map_or(0, Vec::len);
    }
    Ok(people)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_says_who_was_there_and_a_password_is_nowhere() -> Result<()> {
    pipeline_test(async |pipeline| {
        let meeting_url = json!({
            "platform": "google_meet", "meeting_id": "kqz-wbfd-hmt", "meeting_password": MEETING_PASSWORD,
            "url": format!("https://meet.example/join/kqz-wbfd-hmt?pwd={MEETING_PASSWORD}"),
        });
        let meeting = Meeting::rejoined(1)
            .titled(Some("Roadmap"))
            .meeting_url(meeting_url)
            .metadata("title", "Another title")
            .metadata("calendar_event_id", "event-7")
            .bot_metadata("ical_uid", "uid-7@example.com")
            .bot_metadata("attendees", "invited@example.com");
        let simulator = pipeline.simulator();
        let recording = simulator.play(meeting);
        let manifest = pipeline.ends_stored(recording).await?;
        let meeting = &manifest["meeting"];
        assert_eq!((&meeting["title"], &meeting["title_source"]), (&json!("Roadmap"), &json!("recall")));
        assert_eq!((&meeting["platform"], &meeting["meeting_id"]), (&json!("google_meet"), &json!("kqz-wbfd-hmt")));
        assert_eq!(
            (&meeting["calendar_event_id"], &meeting["ical_uid"]),
            (&json!("event-7"), &json!("uid-7@example.com"))
        );
        assert_eq!(
            (&meeting["started_at"], &meeting["ended_at"]),
            (&manifest["recording"]["started_at"], &manifest["recording"]["completed_at"])
        );
        assert_eq!(meeting["participants_over_limit"], 0);
        assert_eq!(meeting["sources"], sources("stored", "read", "read", "read"));
        check_verbatim(&pipeline, recording, &manifest, MeetingFile::Participants, "participants.json")?;

        let file = |file| -> Result<Vec<Value>> {
            Ok(serde_json::from_slice(&simulator.file_bytes(recording, file).context("no file")?)?)
        };
        let turns: Vec<Value> = serde_json::from_str(&text(&pipeline, &manifest, "transcript.json")?)?;
        let expected = expected(&file(MeetingFile::Participants)?, &file(MeetingFile::Events)?, &turns)?;
        let (started_at, ended_at) = (time(&meeting["started_at"])?, time(&meeting["ended_at"])?);
        let people = meeting["participants"].as_array().context("no people")?;
        assert_eq!(people.len(), expected.len());
        assert!(expected.values().any(|person| person.ids.len() == 2 && person.words > 0), "someone came back");
        let written = lines(&pipeline, &manifest, "turns.jsonl")?;
        let mut has_spoken = true;
        for (index, person) in people.iter().enumerate() {
            let ids: Vec<i64> = person["ids"].as_array().context("no ids")?.iter().filter_map(Value::as_i64).collect();
            let expected = expected.values().find(|one| one.ids == ids).with_context(|| format!("{person}"))?;
            assert_eq!((&person["name"], &person["email"]), (&expected.name, &expected.email));
            let source = if expected.email.is_null() { Value::Null } else { json!("participants") };
            assert_eq!((&person["email_source"], &person["is_host"]), (&source, &json!(expected.is_host)));
            let until = |stay: &(OffsetDateTime, Option<OffsetDateTime>)| stay.1.unwrap_or(ended_at);
            let last = expected.stays.iter().map(until).max().context("no stays")?;
            assert!((time(&person["joined_at"])? - expected.stays[0].0).abs() < Duration::milliseconds(2), "{person}");
            assert!((time(&person["left_at"])? - last).abs() < Duration::milliseconds(2), "{person} {last}");
            let present: Duration = expected.stays.iter().map(|stay| until(stay) - stay.0.max(started_at)).sum();
            assert!((seconds(&person["present_s"]) - present.as_seconds_f64()).abs() < 0.01, "{person} {present}");
            assert_eq!((&person["words"], &person["spoke"]), (&json!(expected.words), &json!(expected.words > 0)));
            let turns: Vec<&Value> = written.iter().filter(|turn| turn["person"] == index).collect();
            assert_eq!(person["turns"], turns.len());
            let talk: f64 = turns.iter().map(|turn| seconds(&turn["end_s"]) - seconds(&turn["start_s"])).sum();
            assert!((seconds(&person["talk_s"]) - talk).abs() < 0.01, "{person} {talk}");
            for turn in turns {
                assert!(turn["speaker_id"].as_i64().is_some_and(|id| ids.contains(&id)), "{turn}");
                assert_eq!((&turn["speaker_email"], &turn["is_host"]), (&expected.email, &json!(expected.is_host)));
            }
            assert!(has_spoken || expected.words == 0, "those who spoke come first");
            has_spoken = expected.words > 0;
        }
        assert!(!has_spoken && people.iter().any(|person| person["is_host"] == true), "{people:?}");
        assert!(written.iter().any(|turn| !turn["speaker_email"].is_null()));

        // What must never be kept, not even in the row or the log.
        let row = pipeline.job(recording)?.context("no job")?.to_string();
        for secret in [MEETING_PASSWORD, CHAT_MESSAGE, "meet.example", "https://"] {
            assert_eq!(objects_with(&pipeline, secret)?, Vec::<String>::new(), "{secret}");
            assert!(!row.contains(secret), "{row}");
        }
        for secret in [MEETING_PASSWORD, CHAT_MESSAGE, "meet.example", "@example.com", "Roadmap"] {
            assert!(!pipeline.stack.logs().iter().any(|line| line.contains(secret)), "{secret} is in the log");
        }
        assert!(!meeting["participants"].to_string().contains("invited@"), "invitations are no participants");

        let made: Vec<String> = calls(&pipeline, Service::Recall).into_iter().map(|call| call.operation).collect();
        let expected = ["GET /api/v1/bot/", "GET /api/v1/recording/", "GET /api/v1/transcript/", "/create_transcript/"];
        assert_eq!(expected.map(|call| count(&pipeline, call)), [1, 1, 1, 1], "{made:?}");
        assert_eq!(made.len(), expected.len(), "{made:?}");
        let downloads = calls(&pipeline, Service::Download).len();
        assert_eq!(downloads, 3, "the transcript, the participants and their events");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_says_what_the_manifest_says_about_the_meeting() -> Result<()> {
    pipeline_test(async |pipeline| {
        let meeting = Meeting::hour(2).metadata("meeting_title", "Weekly review").metadata("deal", "7");
        let recording = pipeline.simulator().play(meeting);
        let manifest = pipeline.ends_stored(recording).await?;
        let (line, meeting) = (meeting_line(&pipeline, &manifest)?, &manifest["meeting"]);
        let day = manifest["recording"]["started_at"].as_str().and_then(|at| at.get(..10)).context("no start")?;
        let key = format!("meetings/date={day}/{}.jsonl", super::transcript_of(&manifest)?);
        assert_eq!(super::entry(&manifest, "meetings.jsonl").context("no line")?["key"], key);
        assert_eq!((&line["date"], &line["recording_id"]), (&json!(day), &json!(recording)));
        for field in ["transcript_id", "bot_id", "language_codes", "provider", "counts"] {
            assert_eq!(line[field], manifest[field], "{field}");
        }
        for (field, value) in meeting.as_object().context("no meeting")? {
            if field != "participants" {
                assert_eq!(line[field], *value, "{field}");
            }
        }
        assert_eq!((&line["title"], &line["title_source"]), (&json!("Weekly review"), &json!("metadata")));
        assert_eq!(line["metadata"], json!({}), "only METADATA_KEYS");
        let fields = ["name", "email", "is_host", "spoke", "talk_s", "words"];
        let people = meeting["participants"].as_array().context("no people")?.iter().map(|person| {
            Value::Object(fields.iter().map(|field| ((*field).to_owned(), person[*field].clone())).collect())
        });
        assert_eq!(line["participants"], people.collect::<Value>());
        let emails: BTreeSet<&str> =
            meeting["participants"].as_array().into_iter().flatten().filter_map(|one| one["email"].as_str()).collect();
        let written: BTreeSet<&str> =
            line["participant_emails"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert!(emails == written && !emails.is_empty(), "{line}");
        assert_eq!(line["participant_domains"], json!(["example.com"]));
        let length = time(&meeting["ended_at"])? - time(&meeting["started_at"])?;
        assert!((seconds(&line["duration_s"]) - length.as_seconds_f64()).abs() < 0.01, "{line}");

        // Everyone is in the readable files, also those who never spoke.
        for name in ["transcript.md", "transcript.html"] {
            let written = text(&pipeline, &manifest, name)?;
            for person in meeting["participants"].as_array().into_iter().flatten() {
                let name = person["name"].as_str().context("no name")?;
                assert!(written.contains(name), "{name}");
            }
            assert!(written.contains("Weekly review"), "{name}");
        }
        assert!(text(&pipeline, &manifest, "transcript.md")?.starts_with("---\n"));
        Ok(())
    })
    .await
}

/// No one speaks, and there is no bot to ask about the platform.
#[tokio::test(flavor = "multi_thread")]
async fn silent_people_are_listed_although_nothing_was_said() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::silent().without_bot());
        let manifest = pipeline.ends_stored(recording).await?;
        let meeting = &manifest["meeting"];
        assert_eq!(meeting["sources"], sources("stored", "read", "read", "absent"));
        assert_eq!((&meeting["platform"], &meeting["title"]), (&Value::Null, &Value::Null));
        let people = meeting["participants"].as_array().context("no people")?;
        assert_eq!(people.len(), 2);
        for person in people {
            assert_eq!((&person["spoke"], &person["words"], &person["turns"]), (&json!(false), &json!(0), &json!(0)));
            assert!(seconds(&person["present_s"]) > 100.0, "{person}");
        }
        assert_eq!(count(&pipeline, "/bot/"), 0);
        assert!(names(&manifest).contains(&"meetings.jsonl"));
        assert_eq!(meeting_line(&pipeline, &manifest)?["participants"].as_array().map(Vec::len), Some(2));
        Ok(())
    })
    .await
}

/// Without `meetings` in RENDITIONS, a line shows that the transcript exists, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_meetings_has_only_ids_and_the_date() -> Result<()> {
    let test = tests::PipelineTest::with_env(&[("RENDITIONS", "txt")]);
    test.run(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!(names(&manifest), ["transcript.json", "participants.json", "meetings.jsonl", "transcript.txt"]);
        let line = meeting_line(&pipeline, &manifest)?;
        assert_eq!(line["recording_id"], json!(recording));
        for hidden in ["participants", "title", "participant_emails", "counts", "platform"] {
            assert!(line.get(hidden).is_none(), "{line}");
        }
        let object = super::bytes(&pipeline, &manifest, "meetings.jsonl")?;
        assert!(!String::from_utf8_lossy(&object).contains('@'));
        Ok(())
    })
    .await
}
