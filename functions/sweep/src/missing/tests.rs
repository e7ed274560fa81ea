//! Compares entries of Recall's lists with rows in every state.

use std::time::Duration;

use job::{
    Claim, Copying, Creating, Decision, DeleteAfterStore, Failures, Hold, OnLimit, Overrides, Policy, RecordingInfo,
    State, Transcript, ids::TranscriptId, time::Timestamp,
};
use serde_json::{Value, json};

use super::*;

const RECORDING: RecordingId = RecordingId::from_u128(1);
const TRANSCRIPT: TranscriptId = TranscriptId::from_u128(2);
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn policy() -> Policy {
    Policy {
        providers: vec!["recallai_async".to_owned()],
        tries_per_provider: 2,
        max_transcripts: 10,
        on_limit: OnLimit::Stop,
        copy_unrequested: true,
        delete_after_store: DeleteAfterStore::Nothing,
        announces: true,
        has_knowledge: false,
        expiry_alarm: Duration::from_secs(24 * 60 * 60),
    }
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 60 * 60)
}

fn recording(change: Value) -> ListEntry {
    let mut artifact = json!({
        "id": RECORDING, "status": {"code": "done"}, "completed_at": NOW.minus(hours(1)).rfc3339(),
        "expires_at": null, "bot": {"id": RECORDING, "metadata": {}}, "metadata": {},
    });
    artifact.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
    ListEntry::Recording(Box::new(serde_json::from_value(artifact).expect("a recording")))
}

fn transcript(status: &str, attempt: Option<u32>) -> ListEntry {
    ListEntry::Transcript(Box::new(serde_json::from_value(artifact(status, attempt)).expect("a transcript")))
}

fn artifact(status: &str, attempt: Option<u32>) -> Value {
    let metadata = attempt.map(|attempt| json!({"job": RECORDING, "attempt": attempt.to_string()}));
    json!({
        "id": TRANSCRIPT, "recording": {"id": RECORDING}, "metadata": metadata,
        "status": {"code": status, "sub_code": "x".repeat(300)},
    })
}

/// A job whose recording is done, with one attempt in this state.
fn job(state: State) -> Job {
    let transcript = Transcript::new(Some(1), Some("recallai_async".to_owned()), state);
    Job { recording: Recording::Done, attempts: 1, transcripts: vec![transcript], version: 3, ..Job::new(RECORDING) }
}

fn creating(retry_at: Timestamp) -> State {
    let at = NOW.minus(hours(1));
    State::Creating(Creating {
        first_call_at: at,
        last_call_at: at,
        calls: 1,
        errors: 0,
        retry_at,
        conflicts: 0,
        claim: Some(Claim(1)),
        refusal: None,
        inconclusive_since: None,
        retry: None,
    })
}

fn transcribing() -> State {
    State::Transcribing { transcript_id: TRANSCRIPT, check_at: NOW.plus(hours(1)), checks: 0, reported_done: false }
}

fn copying(retry_at: Timestamp, claim: Option<Claim>) -> State {
    State::Copying(Copying {
        transcript_id: TRANSCRIPT,
        retry_at,
        claim,
        since: NOW,
        failures: Failures { transient: 1, ..Failures::default() },
        missing_since: None,
        checks: 0,
        reported_done: false,
    })
}

fn stored() -> State {
    State::Stored { transcript_id: TRANSCRIPT, receipt: job::samples::receipt() }
}

fn failed() -> State {
    State::Failed { transcript_id: TRANSCRIPT, sub_code: None }
}

fn missing_event(listed: &ListEntry, job: &Job, policy: &Policy) -> Option<Missing> {
    listed.missing(job, None, Context { now: NOW, lease_until: NOW, role: job::Role::Worker, policy })
}

fn kind(listed: &ListEntry, job: &Job) -> Option<&'static str> {
    missing_event(listed, job, &policy()).map(|missing| missing.kind)
}

#[test]
fn recording_is_missing_until_its_row_knows_it() {
    let found = Some("recording.done");
    let unknown = Job { recording: Recording::Unknown, ..job(stored()) };
    let failed = Job { recording: Recording::Failed { sub_code: None }, version: 1, ..Job::new(RECORDING) };
    let deleted = Job { recording: Recording::Deleted, ..job(stored()) };
    let skipped = Job {
        recording: Recording::Done,
        overrides: Some(Overrides { skip: true, ..Overrides::default() }),
        hold: Some(Hold::Skipped),
        version: 1,
        ..Job::new(RECORDING)
    };
    for (job, expected) in [
        (Job::new(RECORDING), found),
        (unknown, found),
        (failed, found),
        (deleted, None),
        (skipped, None),
        (job(creating(NOW.plus(hours(1)))), None),
        (job(creating(NOW.minus(hours(1)))), None),
        (job(transcribing()), None),
        (job(copying(NOW, None)), None),
        (job(stored()), None),
        (job(self::failed()), None),
    ] {
        assert_eq!(kind(&recording(json!({})), &job), expected, "{job:?}");
    }
}

#[test]
fn recording_that_is_not_done_or_just_done_is_not_missing() {
    let new = Job::new(RECORDING);
    for (change, expected) in [
        (json!({"completed_at": NOW.minus(Duration::from_secs(119)).rfc3339()}), None),
        (json!({"completed_at": NOW.minus(Duration::from_secs(120)).rfc3339()}), Some("recording.done")),
        (json!({"completed_at": null}), Some("recording.done")),
        (json!({"status": {"code": "processing"}}), None),
        (json!({"status": {"code": "deleted"}}), None),
        (json!({"status": null}), Some("recording.done")),
    ] {
        assert_eq!(kind(&recording(change.clone()), &new), expected, "{change}");
    }
}

#[test]
fn expiry_is_missing_once_and_only_while_the_recording_is_not_stored() {
    let expiring = recording(json!({"expires_at": NOW.plus(hours(100)).rfc3339()}));
    let wait = |status| Some(Hold::Wait { retry_at: NOW.plus(hours(1)), status, times: 1, since: NOW });
    let waiting = Job { transcripts: Vec::new(), ..job(stored()) };
    for (job, expected) in [
        (job(transcribing()), Some("expires_at")),
        (job(copying(NOW.plus(hours(1)), Some(Claim(1)))), Some("expires_at")),
        (job(failed()), Some("expires_at")),
        (Job { hold: wait(None), ..waiting.clone() }, Some("expires_at")),
        // The expiry is saved while Recall rejects our key, and while a worker has the lease.
        (Job { hold: wait(Some(402)), ..waiting }, Some("expires_at")),
        (job(creating(NOW.plus(hours(1)))), Some("expires_at")),
        (job(stored()), None),
        (job(State::Lost { transcript_id: TRANSCRIPT }), None),
        (Job { expires_at: Some(NOW), ..job(transcribing()) }, None),
    ] {
        assert_eq!(kind(&expiring, &job), expected, "{job:?}");
    }
}

#[test]
fn recording_event_has_all_that_the_list_says() {
    let listed = recording(json!({
        "expires_at": "2027-01-20T00:00:00Z", "metadata": {"transcript_language": "ja"},
        "bot": {"id": RECORDING, "metadata": {"transcript": "skip"}},
    }));
    let overrides = Overrides { skip: true, provider: None, language: Some("ja".to_owned()) };
    let expires_at = Timestamp::parse_rfc3339("2027-01-20T00:00:00Z");
    let bot_id = RECORDING.to_string().parse().ok();
    let message = missing_event(&listed, &Job::new(RECORDING), &policy()).expect("the event is missing").message;
    let done_at = Some(NOW.minus(hours(1)));
    assert_eq!(
        message.event,
        Event::RecordingDone(RecordingInfo { bot_id, overrides: Some(overrides), expires_at, done_at })
    );
    assert_eq!(message.delivery_id.as_deref(), Some("sweep"));
}

/// After a restore of the table, a transcript must not be paid for again.
#[test]
fn lost_row_learns_of_our_transcript_before_its_recording() {
    let lost = Job::new(RECORDING);
    let shows =
        |status: &str, attempt| recording(json!({"media_shortcuts": {"transcript": artifact(status, attempt)}}));
    for (listed, expected) in [
        (shows("processing", Some(1)), "transcript.processing"),
        (shows("done", Some(1)), "transcript.done"),
        (shows("failed", Some(1)), "transcript.failed"),
        (shows("done", None), "recording.done"),
        (shows("deleted", Some(1)), "recording.done"),
    ] {
        assert_eq!(kind(&listed, &lost), Some(expected), "{listed:?}");
        assert_eq!(kind(&listed, &Job { recording: Recording::Unknown, ..job(stored()) }), Some("recording.done"));
    }
}

#[test]
fn transcript_is_missing_until_its_row_has_advanced() {
    let [done, failed, busy] = ["transcript.done", "transcript.failed", "transcript.processing"].map(Some);
    let deleted = |state| {
        let mut job = job(state);
        job.transcripts[0].deleted = true;
        job
    };
    let lost = State::Lost { transcript_id: TRANSCRIPT };
    for (job, of_done, of_failed, of_processing) in [
        (Job::new(RECORDING), done, failed, busy),
        (job(creating(NOW.plus(hours(1)))), done, failed, busy),
        (job(transcribing()), done, failed, None),
        (job(copying(NOW.plus(hours(1)), Some(Claim(1)))), None, None, None),
        // The transcript was reported as done. The next try asks Recall for its state.
        (job(copying(NOW.plus(hours(1)), None)), None, None, None),
        (job(copying(NOW.minus(hours(1)), Some(Claim(1)))), done, None, None),
        (job(stored()), None, None, None),
        (job(self::failed()), done, None, None),
        // The transcript was only given up, so any state of it is new to the job.
        (job(lost.clone()), done, failed, None),
        (deleted(lost), None, None, None),
        (job(State::Foreign { transcript_id: TRANSCRIPT }), None, None, None),
        (Job { recording: Recording::Deleted, ..job(transcribing()) }, None, None, None),
    ] {
        assert_eq!(kind(&transcript("done", Some(1)), &job), of_done, "{job:?}");
        assert_eq!(kind(&transcript("failed", Some(1)), &job), of_failed, "{job:?}");
        assert_eq!(kind(&transcript("processing", Some(1)), &job), of_processing, "{job:?}");
        assert_eq!(kind(&transcript("deleted", Some(1)), &job), None, "{job:?}");
    }
    assert_eq!(kind(&transcript("processing", None), &Job::new(RECORDING)), None);
    let message =
        missing_event(&transcript("failed", Some(1)), &Job::new(RECORDING), &policy()).expect("missing").message;
    let Event::TranscriptFailed { reference, sub_code } = message.event else { panic!("{message:?}") };
    assert_eq!(reference, TranscriptRef { transcript_id: TRANSCRIPT, attempt: Some(1), other_deployment: false });
    assert_eq!(sub_code.expect("a code").len(), 200);
}

/// The list has the transcript in every run.
#[test]
fn unrequested_transcript_is_missing_once_if_it_is_not_wanted() {
    let policy = Policy { copy_unrequested: false, ..policy() };
    for status in ["done", "failed"] {
        let mut job = Job::new(RECORDING);
        let listed = transcript(status, None);
        let message = missing_event(&listed, &job, &policy).expect("the event is missing").message;
        let context = Context { now: NOW, lease_until: NOW, role: job::Role::Worker, policy: &policy };
        if let Decision::Apply { job: next, .. } = job.clone().on_event(&message.event, context) {
            job = *next;
        }
        assert_eq!(missing_event(&listed, &job, &policy), None, "{job:?}");
    }
}

/// A missing event changes the job, and the job knows it afterwards.
#[test]
fn events_are_missing_only_once() {
    let policy = policy();
    let context = Context { now: NOW, lease_until: NOW.plus(hours(1)), role: job::Role::Worker, policy: &policy };
    let entries = [
        recording(json!({})),
        recording(json!({"expires_at": NOW.plus(hours(100)).rfc3339()})),
        transcript("processing", Some(1)),
        transcript("done", Some(1)),
        transcript("done", None),
        transcript("failed", Some(1)),
        transcript("failed", None),
    ];
    let rows = [
        Job::new(RECORDING),
        job(creating(NOW.minus(hours(1)))),
        job(transcribing()),
        job(copying(NOW.minus(hours(1)), None)),
        job(failed()),
        job(State::Lost { transcript_id: TRANSCRIPT }),
    ];
    for listed in &entries {
        for row in &rows {
            let Some(missing) = listed.missing(row, None, context) else { continue };
            let Decision::Apply { job, .. } = row.clone().on_event(&missing.message.event, context) else {
                panic!("{row:?} ignores {missing:?}")
            };
            assert_eq!(listed.missing(&job, None, context), None, "after {missing:?}");
        }
    }
}

/// If only some messages of a page are sent, they are those of the recordings that expire first.
#[test]
fn events_of_recordings_that_expire_first_come_first() {
    let policy = policy();
    let context = Context { now: NOW, lease_until: NOW, role: job::Role::Worker, policy: &policy };
    let of = |expires_in: Option<u64>| {
        let expires_at = expires_in.map(|secs| NOW.plus(Duration::from_secs(secs)).rfc3339());
        let missing = recording(json!({"expires_at": expires_at})).missing(&Job::new(RECORDING), None, context);
        missing.expect("the event is missing")
    };
    let mut all = [None, Some(9), Some(3), None, Some(5)].map(of);
    all.sort_by_key(Missing::order);
    let secs = |missing: &Missing| missing.expires_at.map(|at| at.since(NOW).as_secs());
    assert_eq!(all.each_ref().map(secs), [Some(3), Some(5), Some(9), None, None]);
    // The entry of a transcript has no expiry, but its job may.
    let known = Job { expires_at: Some(NOW.plus(Duration::from_secs(7))), ..Job::new(RECORDING) };
    let reference = transcript("done", None).missing(&known, None, context).expect("the event is missing");
    assert_eq!(secs(&reference), Some(7));
}
