//! The situations that a job can be in.

use std::time::Duration;

use crate::{
    Copying, Creating, Deletion, DeletionReason, DeletionTarget, Failures, FollowUp, Hold, HoldCause, Job, KEY_REUSE,
    Overrides, Recording, Refusals, Rendering, Retry, State, Transcript, UnexplainedRefusal,
    ids::{RecordingId, TranscriptId},
    tests::{self, CLAIM, NOW, OTHER, OURS, job, receipt},
    time::Timestamp,
};

fn earlier(time: Duration) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() - i64::try_from(time.as_millis()).expect("short"))
}

pub(super) fn creating(first_call: Duration, errors: u32, retry_at: Timestamp) -> Job {
    let first_call_at = earlier(first_call);
    let last_call_at = earlier(first_call.min(Duration::from_secs(300)));
    let calls = if first_call_at < last_call_at { 2 } else { 1 };
    job([State::Creating(Creating {
        first_call_at,
        last_call_at,
        calls,
        errors,
        conflicts: 0,
        retry_at,
        claim: Some(CLAIM),
        refusal: None,
        inconclusive_since: None,
        retry: None,
    })])
}

pub(super) fn situations() -> Vec<(&'static str, Job)> {
    let soon = NOW.plus(Duration::from_secs(9));
    let passed = earlier(Duration::from_secs(1));
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let wait = |retry_at, status| Some(Hold::Wait { retry_at, status, times: 1, since: NOW });
    let deletion = |reason, retry_at| {
        Some(Deletion { target: DeletionTarget::Transcript(OURS), reason, retry_at, claim: Some(CLAIM), tries: 0 })
    };
    let refused_creating = || {
        let mut job = creating(minutes(1), 0, soon);
        if let State::Creating(creating) = &mut job.transcripts[0].state {
            creating.refusal = Some(UnexplainedRefusal { code: None });
        }
        job
    };
    let announced = |mut job: Job| {
        job.outbox.last_announced_end = Some(job.status());
        job
    };
    let copying = |retry_at, claim, missing| {
        let failures = Failures { transient: 2, missing, gone: missing, ..Failures::default() };
        let missing_since = (missing > 0).then(|| earlier(Duration::from_secs(60 * 60)));
        job([State::Copying(Copying { missing_since, ..tests::copying(retry_at, claim, failures) })])
    };
    let transcribing =
        |check_at| job([State::Transcribing { transcript_id: OURS, check_at, checks: 0, reported_done: false }]);
    let deleted = |mut job: Job| {
        job.transcripts[0].deleted = true;
        job
    };
    let stored = || job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let failed = || job([State::Failed { transcript_id: OURS, sub_code: None }]);
    let refused = || job([State::Refused { status: 400, code: None }]);
    let used_up = || {
        let mut transcripts = [failed().transcripts, refused().transcripts].concat();
        transcripts[1].provider = Some("rev_async".to_owned());
        transcripts
    };
    let left = || {
        let mut job = job([State::Foreign { transcript_id: OTHER }]);
        job.transcripts[0].attempt = None;
        Job { recording: Recording::Unknown, attempts: 0, ..job }
    };
    let new = || Job::new(RecordingId::from_u128(7));
    let said_to_have_failed = |retry_at, claim| Job {
        hold: Some(Hold::Unread { retry_at, claim, cause: HoldCause::Errors, times: 1, since: NOW }),
        version: 1,
        ..new()
    };
    let others_failure = || {
        let failed = State::Failed { transcript_id: OTHER, sub_code: None };
        Job { transcripts: vec![Transcript::new(None, None, failed)], version: 1, ..new() }
    };
    let crowded = || {
        let mut job =
            job([OTHER, TranscriptId::from_u128(3)]
                .map(|transcript_id| State::Failed { transcript_id, sub_code: None }));
        job.transcripts.iter_mut().for_each(|transcript| transcript.attempt = None);
        job
    };
    let stored_ones = || {
        let mut job = job([OTHER, TranscriptId::from_u128(3)]
            .map(|transcript_id| State::Stored { transcript_id, receipt: receipt() }));
        job.transcripts.iter_mut().for_each(|transcript| transcript.attempt = None);
        job
    };
    let unread = |retry_at, claim| Job {
        hold: Some(Hold::Unread { retry_at, claim, cause: HoldCause::Errors, times: 1, since: NOW }),
        overrides: None,
        attempts: 0,
        ..job([])
    };
    let all_refused = || {
        let mut job = job([State::Refused { status: 400, code: None }, State::Refused { status: 400, code: None }]);
        job.transcripts[1].provider = Some("rev_async".to_owned());
        Job { refusals: Some(Refusals { since: NOW, rounds: 1 }), ..job }
    };
    let unknown = |hold, since| Job { hold, unknown_since: Some(since), ..job([]) };
    let other_deployment = || {
        let mut job = job([State::Stored { transcript_id: OTHER, receipt: receipt() }]);
        (job.transcripts[0].attempt, job.transcripts[0].other_deployment) = (None, true);
        job
    };
    let rendering = |retry_at, claim| Some(Rendering { transcript_id: None, retry_at, claim, tries: 0 });
    let follow_up = |retry_at, claim| Some(FollowUp { retry_at, claim, tries: 0, repeat: false });
    let retry = Some(Retry { provider: None });
    let full_of_stored = || Job { transcripts: [stored().transcripts, stored_ones().transcripts].concat(), ..stored() };
    let full = || Job { transcripts: [failed().transcripts, crowded().transcripts].concat(), ..failed() };
    vec![
        ("nothing known", new()),
        ("recording failed", Job { recording: Recording::Failed { sub_code: None }, version: 1, ..new() }),
        ("unconfirmed failure, leased", said_to_have_failed(soon, Some(CLAIM))),
        ("unconfirmed failure, wait over", said_to_have_failed(passed, None)),
        ("foreign failure, recording unknown", others_failure()),
        ("recording deleted", Job { recording: Recording::Deleted, version: 2, ..new() }),
        ("creating, leased", creating(minutes(1), 0, soon)),
        ("creating, lease over", creating(minutes(10), 0, passed)),
        ("creating, just called, third server error", creating(minutes(1), 3, passed)),
        ("creating, third server error", creating(minutes(10), 3, passed)),
        ("creating, unexplained 400", refused_creating()),
        ("creating, key too old", creating(KEY_REUSE, 0, passed)),
        ("transcribing", transcribing(soon)),
        ("transcribing, check due", transcribing(passed)),
        ("copying, leased", copying(soon, Some(CLAIM), 0)),
        ("copying, lease over", copying(passed, Some(CLAIM), 0)),
        ("copying, missing 9 times, leased", copying(soon, Some(CLAIM), 9)),
        ("copying, waiting", copying(soon, None, 0)),
        ("copying, retry due", copying(passed, None, 0)),
        ("stored", stored()),
        ("stored, deleted at Recall", deleted(stored())),
        ("stored, to be deleted at Recall", Job { deletion: deletion(DeletionReason::Stored, soon), ..stored() }),
        ("failed, next provider scheduled", Job { hold: wait(soon, None), ..failed() }),
        ("failed, chain used up", announced(Job { transcripts: used_up(), ..failed() })),
        ("refused, next provider due", Job { hold: wait(passed, None), ..refused() }),
        ("lost, unknown to Recall", job([State::Lost { transcript_id: OURS }])),
        ("lost, deleted", deleted(job([State::Lost { transcript_id: OURS }]))),
        ("foreign", left()),
        ("waiting", Job { hold: wait(soon, Some(429)), ..job([]) }),
        ("waiting, wait over", Job { hold: wait(passed, Some(429)), ..job([]) }),
        (
            "skipped",
            Job {
                hold: Some(Hold::Skipped),
                overrides: Some(Overrides { skip: true, ..Overrides::default() }),
                ..job([])
            },
        ),
        ("foreign transcripts fill the limit", crowded()),
        ("making room", Job { deletion: deletion(DeletionReason::Room, soon), ..crowded() }),
        ("making room, own transcript", Job { deletion: deletion(DeletionReason::Room, soon), ..full() }),
        ("limit reached", announced(Job { hold: Some(Hold::LimitReached { retry_at: Some(soon) }), ..crowded() })),
        (
            "limit reached, check due",
            announced(Job { hold: Some(Hold::LimitReached { retry_at: Some(passed) }), ..crowded() }),
        ),
        (
            "limit reached by stored ones",
            announced(Job { hold: Some(Hold::LimitReached { retry_at: Some(soon) }), ..stored_ones() }),
        ),
        ("metadata unread, leased", unread(soon, Some(CLAIM))),
        ("metadata unread, waiting", unread(soon, None)),
        ("metadata unread, wait over", unread(passed, None)),
        ("whole chain refused", Job { hold: Some(Hold::AllRefused { retry_at: soon }), ..all_refused() }),
        ("whole chain refused, wait over", Job { hold: Some(Hold::AllRefused { retry_at: passed }), ..all_refused() }),
        ("unknown to Recall", unknown(wait(soon, Some(404)), NOW)),
        ("unknown to Recall for a day", unknown(wait(passed, Some(404)), earlier(minutes(25 * 60)))),
        ("unknown to Recall, given up", unknown(Some(Hold::Skipped), earlier(minutes(25 * 60)))),
        ("other deployment's transcript, stored", other_deployment()),
        ("stored, rendering, leased", Job { rendering: rendering(soon, Some(CLAIM)), ..stored() }),
        ("stored, rendering waiting", Job { rendering: rendering(soon, None), ..stored() }),
        ("stored, follow-up, leased", Job { follow_up: follow_up(soon, Some(CLAIM)), ..stored() }),
        ("stored, follow-up waiting", Job { follow_up: follow_up(soon, None), ..stored() }),
        ("stored, follow-up due", Job { follow_up: follow_up(passed, None), ..stored() }),
        (
            "stored, retry requested, making room",
            Job { retry, deletion: deletion(DeletionReason::Room, soon), ..full_of_stored() },
        ),
    ]
}
