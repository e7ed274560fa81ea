//! The promises, checked at every save and at the end.

use std::collections::BTreeSet;

use super::{recall::Made, worker::Worker, world::World};
use crate::{
    Announcement, Claim, Command, DeleteAfterStore, DeletionReason, DeletionTarget, Hold, Job, Notice, OnLimit,
    Recording, State, Status, Transcript,
};

impl World {
    /// What must hold at every save.
    pub(super) fn check_the_save(&self, next: &Job) {
        let seed = self.seed;
        for old in &self.row.transcripts {
            let id = old.state.transcript_id();
            let new = next.transcripts.iter().find(|new| id.is_some() && new.state.transcript_id() == id);
            let new = new.map(|new| &new.state);
            let kept = match old.state {
                State::Stored { .. } => new == Some(&old.state),
                // A copy that was in progress when Recall deleted the transcript may be complete all the same.
                State::Lost { .. } if old.deleted => {
                    new == Some(&old.state) || matches!(new, Some(State::Stored { .. }))
                }
                State::Creating(_)
                | State::Transcribing { .. }
                | State::Copying(_)
                | State::Failed { .. }
                | State::Refused { .. }
                | State::Lost { .. }
                | State::Foreign { .. } => true,
            };
            assert!(kept, "seed {seed}: {old:?} left its terminal state: {next:#?}");
        }
        let limit = self.policy.max_transcripts;
        // An older attempt is looked up, not made.
        let is_new = |one: &Transcript| one.attempt == Some(next.attempts) && matches!(one.state, State::Creating(_));
        if next.attempts > self.row.attempts && next.transcripts.iter().any(is_new) {
            assert!(next.transcript_count() <= limit, "seed {seed}: over the limit of {limit}: {next:#?}");
        }
        let creating = next.transcripts.iter().filter(|one| matches!(one.state, State::Creating(_))).count();
        assert!(creating <= 1, "seed {seed}: two creates at once: {next:#?}");
        let ids: Vec<_> = next.transcripts.iter().filter_map(|one| one.state.transcript_id()).collect();
        let distinct: BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), distinct.len(), "seed {seed}: one transcript twice: {next:#?}");
        let claimed = next.deletion.filter(|deletion| deletion.claim == Some(Claim(next.version)));
        if claimed.is_some_and(|deletion| deletion.reason == DeletionReason::Stored) {
            assert!(next.follow_up.is_none(), "seed {seed}: data that is still to be fetched is deleted: {next:#?}");
        }
        if next.status().is_in_progress() || next.follow_up.is_some() {
            assert!(next.due_at().is_some(), "seed {seed}: nothing will wake it: {next:#?}");
        }
    }

    /// A requested retry does not vanish: it ends in an attempt with a known outcome, at the limit, or with its
    /// recording gone.
    pub(super) fn check_the_retry(&self, next: &Job, applied: bool) {
        if is_asked(next) || !(applied || is_asked(&self.row)) {
            return;
        }
        let limit = self.policy.max_transcripts;
        let full = next.transcript_count() >= limit || self.recall.existing() >= limit as usize;
        let gone = self.recall.gone
            || next.is_unknown_to_recall()
            || matches!(next.recording, Recording::Deleted | Recording::Failed { .. });
        let known = self.row.transcripts.iter().filter(|one| asked_attempt(one)).any(|asked| {
            next.transcripts.iter().any(|one| one.attempt == asked.attempt && !matches!(one.state, State::Creating(_)))
        });
        assert!(known || full || gone, "seed {}: nothing came of a retry: {:#?} {next:#?}", self.seed, self.row);
    }

    /// Two workers never do at the same time what only one may do.
    pub(super) fn check_the_lease(&self, command: &Command) {
        for other in self.workers.iter().filter_map(Worker::command).filter(|other| !self.is_outdated(other)) {
            let clash = match (command, other) {
                (
                    Command::Create { attempt, .. } | Command::LookUp { attempt, .. },
                    Command::Create { attempt: of, .. },
                )
                | (Command::LookUp { attempt, .. }, Command::LookUp { attempt: of, .. }) => attempt == of,
                (Command::Copy { transcript_id, .. }, Command::Copy { transcript_id: of, .. }) => transcript_id == of,
                (Command::Copy { transcript_id, .. }, Command::Delete { target, .. })
                | (Command::Delete { target, .. }, Command::Copy { transcript_id, .. }) => {
                    *target == DeletionTarget::Transcript(*transcript_id)
                }
                // The deletion of a recording that was dropped for another transcript may still be in progress.
                (Command::Delete { target, .. }, Command::Delete { target: of, .. }) => {
                    target == of && *target != DeletionTarget::Recording
                }
                // A parked job takes no lease for it, and may continue meanwhile. Reading twice changes nothing.
                (Command::ReadRecording { .. }, Command::ReadRecording { .. }) => false,
                // A deletion reads back what is being written.
                (
                    Command::Render { .. } | Command::FollowUp { .. },
                    Command::Render { .. } | Command::FollowUp { .. } | Command::Delete { .. },
                )
                | (Command::Delete { .. }, Command::Render { .. } | Command::FollowUp { .. }) => true,
                (
                    Command::Create { .. }
                    | Command::LookUp { .. }
                    | Command::ReadRecording { .. }
                    | Command::List
                    | Command::Copy { .. }
                    | Command::Render { .. }
                    | Command::FollowUp { .. }
                    | Command::Delete { .. }
                    | Command::Announce { .. }
                    | Command::Wake,
                    _,
                ) => false,
            };
            assert!(!clash, "seed {}: {command:?} while another worker is at {other:?}: {:#?}", self.seed, self.row);
        }
    }

    /// Returns whether the command deletes a target that is already gone, and so has no effect.
    fn is_outdated(&self, command: &Command) -> bool {
        let Command::Delete { target, .. } = command else { return false };
        match target {
            _ if self.recall.gone => true,
            DeletionTarget::Transcript(id) => self.recall.made.iter().any(|made| made.id == *id && made.deleted),
            DeletionTarget::Recording => false,
        }
    }

    /// Every announcement is true.
    pub(super) fn check_the_announcement(&self, announcement: &Announcement) {
        assert!(self.policy.announces, "seed {}: there is no event bus", self.seed);
        if let Notice::Stored { transcript_id } = announcement.notice {
            assert!(self.stored.contains(&transcript_id), "seed {}: announced before it is stored", self.seed);
        }
    }

    /// Nothing is deleted that the operator wants to keep, or that is needed.
    pub(super) fn check_the_deletion(&self, target: DeletionTarget) {
        let (seed, policy) = (self.seed, &self.policy);
        let DeletionTarget::Transcript(id) = target else {
            assert_eq!(policy.delete_after_store, DeleteAfterStore::Recording, "seed {seed}");
            let ours = |made: &Made| made.attempt.is_some() && self.stored.contains(&made.id);
            let enough = self.overrides.skip || self.recall.made.iter().any(ours);
            assert!(enough, "seed {seed}: deleted before what we asked for is stored: {:#?}", self.row);
            // A listed transcript can be copied, or will be.
            for made in self.recall.made.iter().filter(|made| made.is_listed(self.now) && !made.fails(self.now)) {
                let wanted = made.attempt.is_some() || policy.copy_unrequested;
                let safe = !wanted || self.stored.contains(&made.id);
                assert!(safe, "seed {seed}: {:?} goes with its recording: {:#?}", made.id, self.row);
            }
            return;
        };
        let stored = self.stored.contains(&id);
        let failed = self.recall.made.iter().any(|made| made.id == id && (made.fails(self.now) || made.deleted));
        let once_stored =
            policy.delete_after_store == DeleteAfterStore::Transcript || policy.on_limit == OnLimit::DeleteStored;
        let attempt = self.recall.made.iter().find(|made| made.id == id).and_then(|made| made.attempt);
        let twin =
            |made: &Made| made.id != id && made.attempt == attempt && self.stored.contains(&made.id) && !made.deleted;
        let spare = attempt.is_some() && self.recall.made.iter().any(twin);
        let allowed = (once_stored && stored) || (policy.on_limit == OnLimit::DeleteFailed && failed) || spare;
        assert!(allowed, "seed {seed}: {id} may not be deleted: {:#?}", self.row);
    }

    /// What must hold when nothing is pending anymore.
    pub(super) fn check_the_end(&self) -> Status {
        let (seed, job) = (self.seed, &self.row);
        for (attempt, paid) in &self.recall.paid {
            assert_eq!(*paid, 1, "seed {seed}: attempt {attempt} was paid {paid} times: {job:#?}");
        }
        // A paid attempt follows only one that failed.
        let providers = u32::try_from(self.policy.providers.len()).expect("few");
        let most = (providers * self.policy.tries_per_provider) as usize;
        // A transcript that someone else deletes before the row knows of it is made once more.
        let unseen = |made: &&Made| made.attempt.is_some() && made.deleted && !made.deleted_by_us;
        let most = most + self.recall.made.iter().filter(unseen).count() + self.retried.len();
        assert!(self.recall.paid.len() <= most, "seed {seed}: paid {:?} of {most}: {job:#?}", self.recall.paid);
        let ours = |made: &&Made| made.attempt.is_some() && made.is_good() && (!made.deleted || made.deleted_by_us);
        let good = self.recall.made.iter().filter(ours).count();
        assert!(good <= 1 + self.retried.len(), "seed {seed}: {good} good transcripts were paid for: {job:#?}");
        assert!(!is_asked(job), "seed {seed}: a retry is left over: {job:#?}");
        let status = job.status();
        assert!(!status.is_in_progress(), "seed {seed}: it ends as {status:?}: {job:#?}");
        for made in
            self.recall.made.iter().filter(|made| !made.fails(self.now) && (!made.deleted || made.deleted_by_us))
        {
            let wanted = made.attempt.is_some() || self.policy.copy_unrequested;
            let entry = job.transcripts.iter().find(|entry| entry.state.transcript_id() == Some(made.id));
            let stored = entry.is_some_and(|entry| matches!(entry.state, State::Stored { .. }));
            let excused = self.recall.gone || !wanted;
            assert!(stored || excused, "seed {seed}: {:?} could be had and is not stored: {job:#?}", made.id);
            if stored && self.policy.announces {
                let id = format!("{}:stored", made.id);
                assert!(self.announced.contains(&id), "seed {seed}: {id} was not announced: {job:#?}");
            }
        }
        self.check_the_reason(status);
        if self.recall.is_example {
            let quiet = job.version == 0 || (status == Status::Skipped && job.outbox.announced_ends == 0);
            assert!(quiet && self.announced.is_empty(), "seed {seed}: an example ends as {status:?}: {job:#?}");
        }
        if self.told_failed && job.attempts == 0 {
            let is_confirmed = matches!(job.recording, Recording::Failed { .. } | Recording::Deleted | Recording::Done);
            // Or a person requested a transcript all the same, and there is no room.
            let over = job.hold == Some(Hold::Skipped) || job.is_parked();
            let unknown = over && job.is_unknown_to_recall();
            assert!(is_confirmed || unknown, "seed {seed}: its failure was forgotten: {job:#?}");
        }
        status
    }

    /// A job that ends without a transcript has a reason.
    fn check_the_reason(&self, status: Status) {
        let (seed, job) = (self.seed, &self.row);
        // No event ever was about the recording.
        if job.version == 0 {
            return;
        }
        let tries = self.policy.providers.iter().all(|provider| {
            let of = |transcript: &&Transcript| {
                transcript.attempt.is_some()
                    && transcript.provider.as_deref().unwrap_or(&self.policy.providers[0]) == provider
            };
            let used = job.transcripts.iter().filter(of);
            let refused =
                |transcript: &Transcript| matches!(transcript.state, State::Refused { status, .. } if status != 404);
            used.clone().any(refused) || used.count() >= self.policy.tries_per_provider as usize
        });
        let begun = job.recording != Recording::Unknown || job.attempts > 0;
        match status {
            Status::Failed => {
                // Someone who deletes our transcript wants no other one.
                let unwanted = self.recall.made.iter().any(|made| made.attempt.is_some() && made.deleted);
                let excused = self.recall.has_failed || self.recall.gone || self.overrides.skip || unwanted;
                assert!(tries || excused, "seed {seed}: it failed with tries left: {job:#?}");
            }
            Status::LimitReached => {
                let limit = self.policy.max_transcripts as usize;
                let full = self.recall.existing() >= limit || self.recall.gone;
                assert!(full, "seed {seed}: there is room at Recall: {job:#?}");
                let deletable = self.recall.made.iter().filter(|made| !made.deleted).find(|made| self.makes_room(made));
                assert!(deletable.is_none(), "seed {seed}: {deletable:?} could make room: {job:#?}");
            }
            Status::Lost => {
                let ours = |made: &Made| made.attempt.is_some() && made.deleted && !made.deleted_by_us;
                // An unconfirmed recording that was never captured is not lost.
                let gone = !begun || self.recall.gone || self.recall.made.iter().any(ours);
                assert!(gone, "seed {seed}: nothing of ours was deleted: {job:#?}");
            }
            Status::Skipped => {
                let left = job.transcripts.iter().any(|one| matches!(one.state, State::Foreign { .. }));
                // Only events of others are about a recording that was never captured.
                let unknown = (self.recall.gone || !begun || self.recall.is_example) && job.is_unknown_to_recall();
                // Recall has not said that it was done, so failures of others, or its deletion, end nothing.
                let over = |one: &Transcript| one.deleted || matches!(one.state, State::Failed { .. });
                let others = !begun && job.transcripts.iter().any(over);
                let others = others || (self.recall.gone && job.attempts == 0 && job.overrides.is_none());
                assert!(
                    self.overrides.skip || left || unknown || others,
                    "seed {seed}: no override asks for that: {job:#?}"
                );
            }
            Status::Stored => {}
            Status::Creating | Status::Transcribing | Status::Copying | Status::Waiting => {
                unreachable!("checked above")
            }
        }
        if status.is_bad_end() && begun && self.policy.announces {
            let id = format!("{}:failed:{}", job.recording_id, job.outbox.announced_ends);
            assert!(self.announced.contains(&id), "seed {seed}: the end was not announced: {job:#?}");
        }
    }

    /// Returns whether the operator allows this transcript to be deleted for the next attempt.
    fn makes_room(&self, made: &Made) -> bool {
        let entry = self.row.transcripts.iter().find(|entry| entry.state.transcript_id() == Some(made.id));
        // A transcript that the operator does not want copied is not deleted either.
        let stays = |entry: &Transcript| entry.keep_reason.is_some() || matches!(entry.state, State::Foreign { .. });
        !entry.is_some_and(stays)
            && match self.policy.on_limit {
                OnLimit::Stop => false,
                OnLimit::DeleteFailed => made.fails(self.now),
                OnLimit::DeleteStored => self.stored.contains(&made.id),
            }
    }
}

/// Returns whether a person waits for another attempt, or for its outcome.
fn is_asked(job: &Job) -> bool {
    job.retry.is_some() || job.transcripts.iter().any(asked_attempt)
}

fn asked_attempt(one: &Transcript) -> bool {
    matches!(&one.state, State::Creating(creating) if creating.retry.is_some())
}
