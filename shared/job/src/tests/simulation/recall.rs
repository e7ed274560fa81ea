//! A model of Recall: what it made, what it remembers about keys, and how its answers fail.

use std::{collections::HashMap, time::Duration};

use fastrand::Rng;

use crate::{
    CopyAnswer, CreateAnswer, DeleteStepAnswer, EntryStatus, ListedTranscript, LookUpAnswer, RECALL_MAX_TRANSCRIPTS,
    RecordingAnswer, RecordingInfo, RecordingPresence, TranscriptEntry, TranscriptRef, ids::TranscriptId,
    time::Timestamp,
};

const KEY_LIFE: Duration = Duration::from_secs(60 * 60);
const SECOND: Duration = Duration::from_secs(1);

/// A transcript at Recall.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) id: TranscriptId,
    pub(super) attempt: Option<u32>,
    pub(super) exists_at: Timestamp,
    listed_at: Timestamp,
    pub(super) done_at: Timestamp,
    fails: bool,
    /// A failed transcript is done after all from this time on.
    pub(super) recovered_at: Option<Timestamp>,
    pub(super) deleted: bool,
    /// Requested by us, not by someone else.
    pub(super) deleted_by_us: bool,
}

impl Made {
    /// It has failed, or is not done yet.
    pub(super) fn fails(&self, now: Timestamp) -> bool {
        self.fails && self.recovered_at.is_none_or(|at| now < at)
    }

    /// Recall never says that it failed.
    pub(super) fn is_good(&self) -> bool {
        !self.fails
    }

    pub(super) fn is_listed(&self, now: Timestamp) -> bool {
        self.listed_at <= now && !self.deleted
    }

    pub(super) fn listed(&self, now: Timestamp) -> ListedTranscript {
        let ended = self.done_at <= now;
        ListedTranscript {
            transcript_id: self.id,
            attempt: self.attempt,
            ended,
            failed: ended && self.fails(now),
            other_deployment: false,
        }
    }

    pub(super) fn delete(&mut self, now: Timestamp, by_us: bool) {
        (self.deleted, self.deleted_by_us) = (true, by_us);
        self.recovered_at = self.recovered_at.filter(|at| *at <= now);
    }
}

/// What Recall remembers about an idempotency key.
struct Key {
    ended_at: Timestamp,
    answer: CreateAnswer,
}

#[derive(Default)]
pub(super) struct Recall {
    pub(super) made: Vec<Made>,
    /// The recording is deleted.
    pub(super) gone: bool,
    /// Nothing works before this.
    pub(super) down_until: Timestamp,
    /// Before this time, we call with a key of another workspace: Recall does not know the recording.
    pub(super) foreign_until: Timestamp,
    /// Recall never knows this recording: an example was sent, with made-up ids.
    pub(super) is_example: bool,
    /// The meeting could not be recorded.
    pub(super) has_failed: bool,
    /// Every transcript from now on fails.
    pub(super) provider_down: bool,
    keys: HashMap<u32, Key>,
    next_id: u128,
    /// How many times each attempt took effect.
    pub(super) paid: HashMap<u32, u32>,
}

impl Recall {
    /// Makes a transcript, which is done or has failed some time later.
    pub(super) fn make(&mut self, rng: &mut Rng, now: Timestamp, attempt: Option<u32>, delay: Duration) -> Made {
        self.next_id += 1;
        let exists_at = now.plus(delay);
        let done_at = exists_at.plus(SECOND * rng.u32(1..600));
        let fails = self.provider_down || rng.u8(0..5) == 0;
        let recovered = fails && rng.u8(0..6) == 0;
        let made = Made {
            id: TranscriptId::from_u128(self.next_id),
            attempt,
            exists_at,
            listed_at: exists_at.plus(SECOND * rng.u32(0..60)),
            done_at,
            fails,
            recovered_at: recovered.then(|| done_at.plus(SECOND * rng.u32(1..7200))),
            deleted: false,
            deleted_by_us: false,
        };
        self.made.push(made.clone());
        made
    }

    /// The second is what was made, if anything was.
    pub(super) fn create(
        &mut self,
        rng: &mut Rng,
        now: Timestamp,
        calm: bool,
        attempt: u32,
    ) -> (CreateAnswer, Option<Made>) {
        let fault = if calm { 99 } else { rng.u8(0..24) };
        let server_error = CreateAnswer::ServerError { after: SECOND * rng.u32(0..120) };
        if now < self.down_until {
            return (if rng.bool() { server_error } else { CreateAnswer::Lost }, None);
        }
        if self.is_of_other_deployment(now) {
            return (CreateAnswer::Refused { status: 404, code: None }, None);
        }
        // The request may never arrive; throttling, credit and odd refusals may strike before the key is looked at.
        match fault {
            0 => return (CreateAnswer::Lost, None),
            5 => return (CreateAnswer::Throttled { after: SECOND * rng.u32(0..5000) }, None),
            6 => return (CreateAnswer::Operator { status: 402 }, None),
            7 => return (CreateAnswer::Refused { status: if rng.bool() { 404 } else { 400 }, code: None }, None),
            _ => {}
        }
        if let Some(key) = self.keys.get(&attempt)
            && now < key.ended_at.plus(KEY_LIFE)
        {
            let answer = if now < key.ended_at { CreateAnswer::InProgress } else { key.answer.clone() };
            return (answer, None);
        }
        let slow = if fault == 1 { SECOND * rng.u32(1..60) } else { Duration::ZERO };
        let mut made = None;
        let answer = match fault {
            2..=4 => server_error,
            _ if self.gone => CreateAnswer::Refused { status: 404, code: None },
            _ if self.existing() >= RECALL_MAX_TRANSCRIPTS as usize => {
                CreateAnswer::Refused { status: 400, code: None }
            }
            _ => {
                *self.paid.entry(attempt).or_default() += 1;
                let new = self.make(rng, now, Some(attempt), slow);
                let transcript_id = new.id;
                made = Some(new);
                CreateAnswer::Created { transcript_id }
            }
        };
        // A server error after the effect: the transcript is there, and the key replays the error.
        let answer =
            if made.is_some() && fault == 8 { CreateAnswer::ServerError { after: Duration::ZERO } } else { answer };
        self.keys.insert(attempt, Key { ended_at: now.plus(slow), answer: answer.clone() });
        (if matches!(fault, 1 | 9) { CreateAnswer::Lost } else { answer }, made)
    }

    pub(super) fn list(&self, rng: &mut Rng, now: Timestamp, calm: bool) -> LookUpAnswer {
        if now < self.down_until || (!calm && rng.u8(0..4) == 0) {
            return LookUpAnswer::Later { after: SECOND * rng.u32(0..60) };
        }
        let mut listed = self.listed(now);
        match if calm { 99 } else { rng.u8(0..24) } {
            0 => LookUpAnswer::Operator,
            // One entry cannot be read.
            1 if listed.pop().is_some() => LookUpAnswer::Incomplete(listed),
            _ if listed.is_empty() && self.presence(rng, now) == RecordingPresence::Unknown => {
                LookUpAnswer::Later { after: SECOND }
            }
            _ => LookUpAnswer::Complete(listed),
        }
    }

    /// What retrieving the recording says.
    pub(super) fn read(&self, rng: &mut Rng, now: Timestamp, calm: bool, info: RecordingInfo) -> RecordingAnswer {
        match if calm { 9 } else { rng.u8(0..10) } {
            _ if now < self.down_until => RecordingAnswer::Later { after: SECOND * rng.u32(0..60) },
            _ if self.is_of_other_deployment(now) => RecordingAnswer::Unknown,
            0 => RecordingAnswer::Later { after: SECOND * rng.u32(0..60) },
            1 => RecordingAnswer::Operator,
            2 => RecordingAnswer::Unknown,
            _ if self.gone && rng.bool() => RecordingAnswer::Deleted,
            _ if self.gone => RecordingAnswer::Unknown,
            _ if self.has_failed => RecordingAnswer::Failed { sub_code: None },
            _ => RecordingAnswer::Read(info),
        }
    }

    /// What the key that is used learns about the recording.
    pub(super) fn presence(&self, rng: &mut Rng, now: Timestamp) -> RecordingPresence {
        if !self.answers(now) {
            return RecordingPresence::Unknown;
        }
        match self.gone {
            true if rng.bool() => RecordingPresence::Deleted,
            true => RecordingPresence::Unknown,
            false => RecordingPresence::There,
        }
    }

    /// Recall works, and the key is ours.
    pub(super) fn answers(&self, now: Timestamp) -> bool {
        self.down_until <= now && !self.is_of_other_deployment(now)
    }

    fn is_of_other_deployment(&self, now: Timestamp) -> bool {
        self.is_example || now < self.foreign_until
    }

    /// What retrieving a transcript says; nothing if it is gone.
    pub(super) fn look_up_one(&self, rng: &mut Rng, now: Timestamp, id: TranscriptId) -> LookUpAnswer {
        if now < self.down_until {
            return LookUpAnswer::Later { after: SECOND * rng.u32(0..60) };
        }
        let there = self.made.iter().filter(|made| made.id == id && !made.deleted && !self.is_of_other_deployment(now));
        LookUpAnswer::Complete(there.map(|made| made.listed(now)).collect())
    }

    pub(super) fn listed(&self, now: Timestamp) -> Vec<ListedTranscript> {
        let there = self.made.iter().filter(|made| made.is_listed(now) && !self.is_of_other_deployment(now));
        there.map(|made| made.listed(now)).collect()
    }

    /// The same list, as the sweep reads it.
    pub(super) fn seen(&self, now: Timestamp) -> Vec<TranscriptEntry> {
        let seen = |ListedTranscript { transcript_id, attempt, ended, failed, other_deployment }| {
            let status = match (ended, failed) {
                (false, _) => EntryStatus::Processing,
                (true, false) => EntryStatus::Done,
                (true, true) => EntryStatus::Failed { sub_code: None },
            };
            TranscriptEntry { reference: TranscriptRef { transcript_id, attempt, other_deployment }, status }
        };
        self.listed(now).into_iter().map(seen).collect()
    }

    /// How retrieving it ends. `None`: it is done, and can be copied.
    pub(super) fn retrieve(&self, rng: &mut Rng, now: Timestamp, calm: bool, id: TranscriptId) -> Option<CopyAnswer> {
        let after = SECOND * rng.u32(0..60);
        if now < self.down_until {
            return Some(CopyAnswer::Later { after });
        }
        if self.is_of_other_deployment(now) {
            return Some(CopyAnswer::Missing { recording_known: false });
        }
        let Some(made) = self.made.iter().find(|made| made.id == id) else {
            return Some(CopyAnswer::Missing { recording_known: !self.gone });
        };
        if made.deleted {
            return Some(if rng.bool() {
                CopyAnswer::Missing { recording_known: !self.gone }
            } else {
                CopyAnswer::Deleted
            });
        }
        if !calm && rng.u8(0..20) == 0 {
            return Some(CopyAnswer::Missing { recording_known: !self.gone });
        }
        if now < made.done_at {
            return Some(CopyAnswer::NotReady);
        }
        made.fails(now).then_some(CopyAnswer::Failed { sub_code: None })
    }

    /// Deletes one transcript, or all. Returns the ids of the deleted ones.
    pub(super) fn delete(
        &mut self,
        rng: &mut Rng,
        now: Timestamp,
        calm: bool,
        id: Option<TranscriptId>,
    ) -> (DeleteStepAnswer, Vec<TranscriptId>) {
        let fault = if calm { 99 } else { rng.u8(0..6) };
        let after = SECOND * rng.u32(0..60);
        if now < self.down_until || fault == 0 {
            return (DeleteStepAnswer::Later { after }, Vec::new());
        }
        if self.is_of_other_deployment(now) || self.gone {
            return (DeleteStepAnswer::NotFound { after }, Vec::new());
        }
        self.gone |= id.is_none();
        let goes = |made: &&mut Made| !made.deleted && id.is_none_or(|id| made.id == id);
        let mut gone = Vec::new();
        for made in self.made.iter_mut().filter(goes) {
            made.delete(now, true);
            gone.push(made.id);
        }
        let said = match (fault, id) {
            // The answer may be lost after the effect.
            (1, _) => DeleteStepAnswer::Later { after },
            (_, Some(_)) if gone.is_empty() => DeleteStepAnswer::NotFound { after },
            (_, Some(_) | None) => DeleteStepAnswer::Deleted,
        };
        (said, gone)
    }

    pub(super) fn existing(&self) -> usize {
        self.made.iter().filter(|made| !made.deleted).count()
    }
}
