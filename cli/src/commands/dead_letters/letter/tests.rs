use expect_test::expect;
use job::Event;

use super::*;
use crate::times::TimeFormat;

const RECORDING: &str = "00000000-0000-0000-0000-000000000001";
const TRANSCRIPT: &str = "00000000-0000-0000-0000-000000000002";
const SENT_AT: Timestamp = Timestamp::from_secs(1_000_000);

fn received(message_id: &str, body: &str, attributes: &[(&str, &str)]) -> Received {
    Received {
        message_id: message_id.to_owned(),
        sent_at: Some(SENT_AT),
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.to_owned(),
    }
}

fn one(message: Received) -> DeadLetter {
    let [letter] = <[DeadLetter; 1]>::try_from(group([message])).expect("one dead letter");
    letter
}

fn parked(message_id: &str, part: &str, text: &str) -> Received {
    let attributes = [("reason", "it is no JSON: error at line 1"), ("delivery_id", "msg_1"), ("part", part)];
    received(message_id, text, &attributes)
}

fn times() -> Times {
    Times::new(TimeFormat::Relative, SENT_AT.plus(std::time::Duration::from_secs(7_200)))
}

#[test]
fn unfinished_work_is_a_message() {
    let body =
        format!(r#"{{"recording_id": "{RECORDING}", "event": "transcript.done", "transcript_id": "{TRANSCRIPT}"}}"#);
    let letter = one(received("m-1", &body, &[]));
    assert_eq!((letter.kind, letter.message_id()), (Kind::UnfinishedWork, "m-1"));
    assert!(matches!(letter.message().expect("a message").event, Event::TranscriptDone(_)));
    expect![[r#"
        m-1  2 h ago
          what        a message of the work queue, not finished
          event       transcript.done
          recording   00000000-0000-0000-0000-000000000001
          transcript  00000000-0000-0000-0000-000000000002
          reason      the transcript function received the message as often as the queue allows, and could not finish the work"#]]
    .assert_eq(&letter.in_words(&times()));
}

#[test]
fn unreadable_message_is_not_taken_for_a_delivery() {
    let body = format!(r#"{{"recording_id": "{RECORDING}", "event": "retry"}}"#);
    for reason in [format!("{}: line 1 column 2", dead_letter::NOT_A_MESSAGE), dead_letter::ROW_NOT_READABLE.to_owned()]
    {
        let letter = one(received("m-1", &body, &[("reason", &reason), ("delivery_id", RECORDING)]));
        assert_eq!((letter.kind, &letter.reason), (Kind::UnreadableMessage, &reason));
        assert_eq!((letter.facts.event.as_deref(), letter.headers()), (Some("retry"), None));
        assert!(letter.message().is_none(), "retry needs after_attempt");
    }
}

#[test]
fn delivery_shows_ids_and_the_event_and_no_more() {
    let body = format!(
        r#"{{"event": "recording.done", "data": {{"recording": {{"id": "{RECORDING}", "metadata": {{"who": "Ann"}}}}}}}}"#
    );
    let letter = one(parked("m-1", "1/1", &body));
    assert_eq!(letter.headers(), Some(("webhook-id", "msg_1")));
    let shown = serde_json::to_string(&letter.summary()).expect("JSON");
    assert!(shown.contains(RECORDING) && shown.contains("recording.done") && !shown.contains("Ann"), "{shown}");
    let words = letter.in_words(&times());
    assert!(words.contains(RECORDING) && !words.contains("Ann"), "{words}");
    expect![[r#"m-1  2 h  recording.done  a delivery to the webhook that could not be read"#]]
        .assert_eq(&letter.in_short(&times()));
}

#[test]
fn odd_values_are_not_shown() {
    for body in [
        "not JSON",
        "[]",
        "5",
        r#"{"event": 5}"#,
        r#"{"event": "two words", "recording_id": "../x"}"#,
        r#"{"event": "\u001b[31m", "data": {"recording": {"id": 7}}}"#,
        &"[".repeat(100_000),
    ] {
        assert_eq!(one(parked("m-1", "1/1", body)).facts, Facts::default(), "{body}");
    }
    let letter = one(received("m-1", "x", &[("reason", &"\u{1b}".repeat(1_000))]));
    assert_eq!(letter.reason, " ".repeat(MAX_REASON_CHARS));
}

#[test]
fn parts_of_a_long_body_are_one_dead_letter() {
    let letters = group([parked("m-3", "3/3", "}"), parked("m-1", "1/3", "{"), parked("m-2", "2/3", r#""event":"x""#)]);
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(letter.message_ids().collect::<Vec<_>>(), ["m-1", "m-2", "m-3"]);
    assert_eq!(letter.body().expect("whole"), br#"{"event":"x"}"#);
    assert_eq!(letter.facts.event.as_deref(), Some("x"));

    let letters = group([parked("m-1", "1/3", "{"), parked("m-4", "1/3", "{"), parked("m-2", "2/3", "x")]);
    assert_eq!((letters.len(), letters[0].body()), (1, Err(NotWhole::PartsMissing { seen: 2, of: 3 })));
    let letters = group([parked("m-1", "1/2", "a"), parked("m-4", "1/2", "b"), parked("m-2", "2/2", "x")]);
    assert_eq!(letters[0].body(), Err(NotWhole::PartsDiffer));
}

#[test]
fn whole_deliveries_with_one_id_are_dead_letters_of_their_own() {
    let letters = group([parked("m-1", "1/1", "x"), parked("m-2", "1/1", "x"), parked("m-1", "1/1", "x")]);
    assert_eq!(letters.iter().map(DeadLetter::message_id).collect::<Vec<_>>(), ["m-1", "m-2"]);
}

#[test]
fn body_is_decoded_as_its_attribute_says() {
    let encoded = |text: &str, encoding: &str| {
        one(received("m-1", text, &[("reason", "r"), ("encoding", encoding), ("part", "1/1")])).body()
    };
    assert_eq!(encoded("/wA=", "base64"), Ok(vec![0xff, 0]));
    assert_eq!(encoded("(empty)", "none"), Ok(Vec::new()));
    assert_eq!(encoded("é", "text"), Ok("é".as_bytes().to_vec()));
    assert_eq!(encoded("***", "base64"), Err(NotWhole::BadEncoding));
    assert_eq!(encoded("x", "other"), Err(NotWhole::BadEncoding));
}

#[test]
fn filters_compare_reason_event_and_recording() {
    let body = format!(r#"{{"recording_id": "{RECORDING}", "event": "wake"}}"#);
    let letter = one(received("m-1", &body, &[("reason", "The Body is odd")]));
    let filters = |with_reason: Option<&str>, event: Option<&str>, recording: Option<u128>| Filters {
        with_reason: with_reason.map(str::to_owned),
        event: event.map(str::to_owned),
        recording_id: recording.map(RecordingId::from_u128),
    };
    for good in [filters(None, None, None), filters(Some("body IS"), None, None), filters(None, Some("wake"), Some(1))]
    {
        assert!(letter.matches(&good), "{good:?}");
    }
    for bad in [filters(Some("x"), None, None), filters(None, Some("wak"), None), filters(None, Some("wake"), Some(2))]
    {
        assert!(!letter.matches(&bad), "{bad:?}");
    }
}

#[test]
fn oldest_is_first() {
    let newer =
        Received { sent_at: Some(SENT_AT.plus(std::time::Duration::from_secs(1))), ..received("m-1", "x", &[]) };
    let letters = group([newer, received("m-2", "x", &[])]);
    assert_eq!(letters.iter().map(DeadLetter::message_id).collect::<Vec<_>>(), ["m-2", "m-1"]);
}
