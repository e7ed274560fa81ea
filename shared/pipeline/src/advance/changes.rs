//! The changes that a save makes, for logs and metrics. Only the writer whose save succeeded records them, so each
//! change is recorded once.

use std::time::Duration;

use job::{Job, KeepReason, State, Transcript, ids::TranscriptId, time::Timestamp};

use crate::{logs, metrics};

/// The properties of a job whose changes are recorded.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    paid_twice: bool,
    expiring: bool,
    /// How many times the job has ended without a transcript.
    ends: u32,
    /// Recall does not know the recording.
    unknown: bool,
    /// How many times the whole chain of providers was refused.
    refusals: u32,
    /// How many transcripts stay at Recall because it did not delete them.
    not_deleted: usize,
    /// When rendering again was given up.
    rendering_stopped_at: Option<Timestamp>,
    /// How many languages in metadata were refused.
    refused_languages: usize,
    /// Transcripts that we requested and that Recall has made or is making.
    paid: Vec<Paid>,
    failures: Vec<Failure>,
    /// When the first transcript was complete in S3.
    stored_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Paid {
    transcript_id: TranscriptId,
    provider: Option<String>,
}

/// One of our attempts that failed or was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure {
    attempt: u32,
    transcript_id: Option<TranscriptId>,
    provider: Option<String>,
    /// Recall's code.
    code: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Change {
    PaidTwice,
    Expiring,
    Unknown,
    Refused,
    NotDeleted,
    NotRendered,
    OverrideIgnored,
    Ended,
    Paid(Paid),
    Failed(Failure),
    /// The first transcript is stored. `after` is the time since the recording was done; `None` if Recall did not say
    /// when it was.
    Stored {
        after: Option<Duration>,
    },
}

impl Snapshot {
    pub(super) fn of(job: &Job) -> Self {
        let receipts = job.transcripts.iter().filter_map(|transcript| transcript.state.receipt());
        Self {
            paid_twice: job.paid_twice(),
            expiring: job.outbox.expiry_announced,
            ends: job.outbox.announced_ends,
            unknown: job.is_unknown_to_recall(),
            refusals: job.refusals.map_or(0, |refusals| refusals.rounds),
            not_deleted: job.transcripts.iter().filter(|one| one.keep_reason == Some(KeepReason::NotDeleted)).count(),
            rendering_stopped_at: job.rendering_stopped_at,
            refused_languages: job.refused_languages.len(),
            paid: job.transcripts.iter().filter_map(Paid::of).collect(),
            failures: job.transcripts.iter().filter_map(Failure::of).collect(),
            stored_at: receipts.map(|receipt| receipt.stored_at).min(),
        }
    }
}

impl Paid {
    fn of(transcript: &Transcript) -> Option<Self> {
        transcript.attempt?;
        Some(Self { transcript_id: transcript.state.transcript_id()?, provider: transcript.provider.clone() })
    }
}

impl Failure {
    fn of(transcript: &Transcript) -> Option<Self> {
        let failed = match transcript.state {
            State::Failed { .. } | State::Refused { .. } => !transcript.deleted,
            State::Creating(_)
            | State::Transcribing { .. }
            | State::Copying(_)
            | State::Stored { .. }
            | State::Lost { .. }
            | State::Foreign { .. } => false,
        };
        let attempt = transcript.attempt.filter(|_| failed)?;
        let (transcript_id, code) = (transcript.state.transcript_id(), transcript.state.sub_code());
        Some(Self { attempt, transcript_id, provider: transcript.provider.clone(), code })
    }
}

/// Logs and counts what changed between the snapshot and the saved job.
pub(super) fn record(before: &Snapshot, saved: &Job) {
    for change in between(before, saved) {
        change.record(saved);
    }
}

fn between(before: &Snapshot, saved: &Job) -> Vec<Change> {
    let after = Snapshot::of(saved);
    let mut changes = Vec::new();
    if after.paid_twice && !before.paid_twice {
        changes.push(Change::PaidTwice);
    }
    if after.expiring && !before.expiring {
        changes.push(Change::Expiring);
    }
    if after.unknown && !before.unknown {
        changes.push(Change::Unknown);
    }
    if after.refusals > before.refusals {
        changes.push(Change::Refused);
    }
    if after.not_deleted > before.not_deleted {
        changes.push(Change::NotDeleted);
    }
    if after.rendering_stopped_at.is_some() && after.rendering_stopped_at != before.rendering_stopped_at {
        changes.push(Change::NotRendered);
    }
    if after.refused_languages > before.refused_languages {
        changes.push(Change::OverrideIgnored);
    }
    if after.ends > before.ends {
        changes.push(Change::Ended);
    }
    let was_paid = |paid: &Paid| before.paid.iter().any(|earlier| earlier.transcript_id == paid.transcript_id);
    changes.extend(after.paid.into_iter().filter(|paid| !was_paid(paid)).map(Change::Paid));
    changes.extend(after.failures.into_iter().filter(|failure| !before.failures.contains(failure)).map(Change::Failed));
    if let (Some(stored_at), None) = (after.stored_at, before.stored_at) {
        changes.push(Change::Stored { after: saved.done_at.map(|done_at| stored_at.since(done_at)) });
    }
    changes
}

impl Change {
    fn record(&self, job: &Job) {
        let (recording_id, status) = (job.recording_id, job.status().as_str());
        match self {
            Self::PaidTwice => {
                tracing::error!(message = logs::ATTEMPT_PAID_TWICE, recording.id = %recording_id);
                metrics::ATTEMPTS_PAID_TWICE.count();
            }
            Self::Expiring => {
                let expires_at = job.expires_at.map(Timestamp::rfc3339).unwrap_or_default();
                tracing::error!(
                    message = logs::EXPIRY_NOTICED,
                    recording.id = %recording_id,
                    job.status = status,
                    expires_at,
                );
                metrics::RECORDINGS_EXPIRING.count();
            }
            Self::Unknown => {
                tracing::warn!(message = logs::RECORDING_NOT_FOUND, recording.id = %recording_id);
                metrics::RECORDINGS_UNKNOWN.count();
            }
            Self::Refused => {
                tracing::error!(message = logs::PROVIDERS_REFUSED, recording.id = %recording_id);
                metrics::PROVIDERS_REFUSED.count();
            }
            Self::NotDeleted => {
                tracing::error!(message = logs::DELETION_STOPPED, recording.id = %recording_id);
                metrics::DELETIONS_STOPPED.count();
            }
            Self::NotRendered => {
                tracing::error!(message = logs::RENDERING_STOPPED, recording.id = %recording_id);
                metrics::RENDERING_ERRORS.count();
            }
            Self::OverrideIgnored => {
                tracing::warn!(
                    message = logs::OVERRIDE_IGNORED,
                    recording.id = %recording_id,
                    key = "transcript_language",
                );
            }
            Self::Ended => {
                tracing::error!(message = logs::JOB_ENDED, recording.id = %recording_id, job.status = status);
                metrics::JOBS_FAILED.count(status);
            }
            Self::Paid(Paid { transcript_id, provider }) => {
                let provider = metrics::code(provider.as_deref());
                tracing::info!(
                    message = logs::ATTEMPT_PAID,
                    recording.id = %recording_id,
                    transcript.id = %transcript_id,
                    provider,
                );
                metrics::TRANSCRIPTS_PAID.count(provider);
            }
            Self::Failed(Failure { attempt, transcript_id: _, provider, code }) => {
                let (provider, sub_code) = (metrics::code(provider.as_deref()), metrics::code(code.as_deref()));
                tracing::warn!(
                    message = logs::ATTEMPT_FAILED,
                    recording.id = %recording_id,
                    attempt,
                    provider,
                    sub_code,
                );
                metrics::ATTEMPTS_FAILED.count(provider, sub_code);
            }
            Self::Stored { after: Some(after) } => {
                metrics::TIME_TO_STORED.record(after.as_secs());
            }
            Self::Stored { after: None } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use job::{Outbox, Receipt, Refusals, ids::RecordingId};

    const DONE_AT: Timestamp = Timestamp::from_secs(1_800_000_000);
    const ID: TranscriptId = TranscriptId::from_u128(2);

    fn job(attempt: Option<u32>, state: State) -> Job {
        let provider = attempt.map(|_| "rev_async".to_owned());
        let transcripts = vec![Transcript::new(attempt, provider, state)];
        Job { done_at: Some(DONE_AT), transcripts, ..Job::new(RecordingId::from_u128(1)) }
    }

    fn transcribing() -> State {
        State::Transcribing { transcript_id: ID, check_at: DONE_AT, checks: 0, reported_done: false }
    }

    fn stored(seconds: u64) -> State {
        let receipt = Receipt { stored_at: DONE_AT.plus(Duration::from_secs(seconds)), ..job::samples::receipt() };
        State::Stored { transcript_id: ID, receipt }
    }

    fn failed() -> State {
        State::Failed { transcript_id: ID, sub_code: Some("why".to_owned()) }
    }

    fn changes(before: &Job, after: &Job) -> Vec<Change> {
        between(&Snapshot::of(before), after)
    }

    fn paid() -> Change {
        Change::Paid(Paid { transcript_id: ID, provider: Some("rev_async".to_owned()) })
    }

    #[test]
    fn paid_transcript_is_counted_when_it_is_first_known_to_exist() {
        let new = Job::new(RecordingId::from_u128(1));
        assert_eq!(changes(&new, &job(Some(1), transcribing())), [paid()]);
        assert_eq!(changes(&job(Some(1), transcribing()), &job(Some(1), transcribing())), []);
        // We did not request this transcript.
        assert_eq!(changes(&new, &job(None, transcribing())), []);
        let refused = State::Refused { status: 400, code: Some("bad_language".to_owned()) };
        let code = Some("bad_language".to_owned());
        let failure = Failure { attempt: 1, transcript_id: None, provider: Some("rev_async".to_owned()), code };
        assert_eq!(changes(&new, &job(Some(1), refused)), [Change::Failed(failure)], "a refusal costs nothing");
    }

    #[test]
    fn failure_is_counted_once_with_its_provider_and_its_reason() {
        let (code, provider) = (Some("why".to_owned()), Some("rev_async".to_owned()));
        let failure = Failure { attempt: 1, transcript_id: Some(ID), provider, code };
        assert_eq!(changes(&job(Some(1), transcribing()), &job(Some(1), failed())), [Change::Failed(failure)]);
        let mut deleted = job(Some(1), failed());
        assert_eq!(changes(&deleted, &deleted), []);
        deleted.transcripts[0].deleted = true;
        assert_eq!(changes(&job(Some(1), failed()), &deleted), [], "it was deleted to make room for another one");
        assert_eq!(changes(&job(None, transcribing()), &job(None, failed())), [], "we did not request it");
    }

    #[test]
    fn rendering_that_is_given_up_is_counted_once() {
        let in_progress = job(Some(1), stored(90));
        let stopped = |at| Job { rendering_stopped_at: Some(at), ..in_progress.clone() };
        let (first, second) = (stopped(DONE_AT), stopped(DONE_AT.plus(Duration::from_secs(1))));
        assert_eq!(changes(&in_progress, &first), [Change::NotRendered]);
        assert_eq!(changes(&first, &first), []);
        assert_eq!(changes(&first, &in_progress), [], "it was requested again, or succeeded");
        assert_eq!(changes(&first, &second), [Change::NotRendered], "it was given up again");
    }

    #[test]
    fn time_to_the_first_stored_transcript_is_recorded_once() {
        let in_progress = job(Some(1), transcribing());
        let after = Some(Duration::from_secs(90));
        assert_eq!(changes(&in_progress, &job(Some(1), stored(90))), [Change::Stored { after }]);
        let mut another = job(Some(1), stored(90));
        another.transcripts.push(job(None, stored(900)).transcripts.remove(0));
        assert_eq!(changes(&job(Some(1), stored(90)), &another), []);
        // An older version wrote the row, or Recall did not say when the recording was done.
        let unknown = Job { done_at: None, ..job(Some(1), stored(90)) };
        assert_eq!(changes(&in_progress, &unknown), [Change::Stored { after: None }]);
    }

    /// Each of these is reported by the save that makes it true, and by no other.
    #[test]
    fn change_is_reported_once_and_not_when_it_is_undone() {
        let plain = job(Some(1), transcribing());
        let twins = [plain.transcripts[0].clone(), Transcript::new(Some(1), None, failed())].to_vec();
        let kept = Transcript { keep_reason: Some(KeepReason::NotDeleted), ..plain.transcripts[0].clone() };
        let outbox =
            |expiry_announced, announced_ends| Outbox { expiry_announced, announced_ends, ..Outbox::default() };
        for (changed, expected) in [
            (Job { outbox: outbox(true, 0), ..plain.clone() }, Change::Expiring),
            (Job { outbox: outbox(false, 1), ..plain.clone() }, Change::Ended),
            (Job { refusals: Some(Refusals { since: DONE_AT, rounds: 1 }), ..plain.clone() }, Change::Refused),
            (Job { transcripts: vec![kept], ..plain.clone() }, Change::NotDeleted),
            (Job { refused_languages: vec!["xx".to_owned()], ..plain.clone() }, Change::OverrideIgnored),
        ] {
            assert_eq!(changes(&plain, &changed), [expected]);
            assert_eq!(changes(&changed, &changed), []);
            assert_eq!(changes(&changed, &plain), []);
        }
        let twice = Job { transcripts: twins, ..plain.clone() };
        assert!(changes(&plain, &twice).contains(&Change::PaidTwice));
        assert_eq!(changes(&twice, &twice), []);
        let waiting = Job { unknown_since: Some(DONE_AT), transcripts: Vec::new(), ..plain };
        assert_eq!(changes(&Job { unknown_since: None, ..waiting.clone() }, &waiting), [Change::Unknown]);
        assert_eq!(changes(&waiting, &waiting), []);
    }
}
