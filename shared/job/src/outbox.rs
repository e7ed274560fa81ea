//! What is announced: noted in the row by the save that makes it true, and sent afterwards, at least once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Command, Context, Counts, Decision, Job, Next, Reason, Recording, Role, Status, Transcript, waits::ANNOUNCE_BACKOFF,
};
use crate::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};

/// What is still to be announced, and what was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// No worker starts to send before this time: the end of a lease or of a wait.
    pub retry_at: Timestamp,
    /// `retry_at` is the end of a worker's lease, not of a wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sending: bool,
    pub tries: u32,
    /// The bad end that was noted last, so that it is noted once. `None` again when the job continues, because it may
    /// end again. It is kept even if announcements are turned off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_announced_end: Option<Status>,
    /// How many bad ends the job has come to, announced or not.
    pub announced_ends: u32,
    /// When the expiry of the recording is worth an alarm, unless a transcript is stored by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_alarm_at: Option<Timestamp>,
    /// The coming expiry of the recording was noted, announced or not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expiry_announced: bool,
}

/// One thing to announce. Everything else is read from the row when the notice is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    Stored {
        transcript_id: TranscriptId,
    },
    /// The job ended without a transcript. `end` is the number of this end, from 1.
    Failed {
        status: Status,
        end: u32,
    },
    Expiring,
}

/// One announcement: the `detail` of an event on the EventBridge bus. The function that sends it adds the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Announcement {
    /// The same whenever the same notice is announced again.
    pub id: String,
    #[serde(skip)]
    pub detail_type: &'static str,
    #[serde(skip)]
    pub notice: Notice,
    pub recording_id: RecordingId,
    pub transcript_id: Option<TranscriptId>,
    pub bot_id: Option<BotId>,
    pub status: Status,
    pub provider: Option<String>,
    pub attempt: Option<u32>,
    pub sub_code: Option<String>,
    pub manifest_key: Option<String>,
    pub counts: Option<AnnouncedCounts>,
    /// The title of the meeting, if the transcript is stored and the title is known.
    pub title: Option<String>,
    /// RFC 3339; `None` while Recall has not told the time.
    pub expires_at: Option<String>,
}

/// The counts of the manifest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnnouncedCounts {
    pub turns: u64,
    pub words: u64,
    pub speakers: u64,
    pub duration_s: f64,
}

// The duration is a whole number of milliseconds, so it is never NaN.
impl Eq for AnnouncedCounts {}

impl From<Counts> for AnnouncedCounts {
    fn from(Counts { turns, words, speakers, duration_ms }: Counts) -> Self {
        Self { turns, words, speakers, duration_s: Duration::from_millis(duration_ms).as_secs_f64() }
    }
}

impl Job {
    /// Notes that a transcript is stored.
    pub(crate) fn note_stored(&mut self, transcript_id: TranscriptId, context: Context<'_>) {
        self.note(Notice::Stored { transcript_id }, context);
    }

    /// Notes the end of a job that ends without a transcript.
    pub(crate) fn note_end(&mut self, context: Context<'_>) {
        // Until Recall has said what happened to the recording, or we have requested something, nothing can end the
        // job.
        let bad_end = Some(self.status()).filter(|status| self.has_begun() && status.is_bad_end());
        match bad_end {
            Some(status) if self.outbox.last_announced_end != bad_end => {
                (self.ended_at, self.dismissed_at) = (Some(context.now), None);
                self.outbox.last_announced_end = bad_end;
                self.outbox.announced_ends += 1;
                self.note(Notice::Failed { status, end: self.outbox.announced_ends }, context);
            }
            // A row of an older version does not have the time.
            Some(_) => self.ended_at = self.ended_at.or(Some(context.now)),
            None if self.may_end_again() => {
                (self.ended_at, self.dismissed_at) = (None, None);
                self.outbox.last_announced_end = None;
            }
            None => {}
        }
    }

    /// Returns whether our own attempts are in progress or scheduled, or the job is stored or skipped: a later bad end
    /// is then another one. A transcript of others in progress does not count.
    fn may_end_again(&self) -> bool {
        let ours = self.transcripts.iter().any(|one| one.attempt.is_some() && one.state.due_at().is_some());
        ours || self.is_attempt_pending() || matches!(self.status(), Status::Stored | Status::Skipped)
    }

    /// Notes, once, that the recording expires soon and is not stored. Returns whether there was anything to note.
    pub(crate) fn note_expiry(&mut self, context: Context<'_>) -> bool {
        let is_due = self.next_expiry_alarm(context).is_some_and(|at| at <= context.now);
        if is_due {
            self.outbox.expiry_announced = true;
            self.note(Notice::Expiring, context);
        }
        is_due
    }

    /// Returns when the expiry of the recording is worth an alarm; `None` if it is not, or if it was announced.
    pub(crate) fn next_expiry_alarm(&self, context: Context<'_>) -> Option<Timestamp> {
        let is_gone = self.recording == Recording::Deleted;
        let is_at_stake = self.status().is_at_stake() && !is_gone && !self.outbox.expiry_announced;
        self.expires_at.filter(|_| is_at_stake).map(|at| at.minus(context.policy.expiry_alarm))
    }

    fn note(&mut self, notice: Notice, context: Context<'_>) {
        if context.policy.announces && !self.outbox.notices.contains(&notice) {
            self.outbox.notices.push(notice);
            self.outbox.retry_at = self.outbox.retry_at.min(context.now);
        }
    }

    /// Starts to announce, if there are notices and no other worker is sending them.
    pub(crate) fn start_announcing(&mut self, context: Context<'_>) -> Option<Next> {
        if self.outbox.notices.is_empty() || context.now < self.outbox.retry_at {
            return None;
        }
        if context.role == Role::Webhook {
            return Some(Next::Act(Command::Wake));
        }
        self.outbox.retry_at = context.lease_until;
        self.outbox.sending = true;
        let announcements = self.outbox.notices.iter().map(|notice| self.announcement(*notice)).collect();
        Some(Next::Act(Command::Announce { announcements }))
    }

    /// These notices were sent; the others wait for their next try. There is no claim to compare: an announcement may
    /// be repeated, with the same id.
    pub(crate) fn on_announce_answer(mut self, sent: &[Notice], context: Context<'_>) -> Decision {
        let before = self.outbox.notices.len();
        self.outbox.sending = false;
        self.outbox.notices.retain(|notice| !sent.contains(notice));
        if self.outbox.notices.is_empty() {
            self.outbox.tries = 0;
            self.outbox.retry_at = Timestamp::default();
            return if before == 0 { Decision::Ignore(Reason::AlreadyKnown) } else { self.apply(Next::Nothing) };
        }
        let retry_at = self.wait_until(ANNOUNCE_BACKOFF.wait(self.outbox.tries), context.now);
        self.outbox.tries += 1;
        self.outbox.retry_at = retry_at;
        // After a wait `commit` starts nothing, so these are started here: a failing bus must not hold them up.
        let next =
            self.start_follow_up(context).or_else(|| self.start_deletion(context)).unwrap_or(Next::Wait { retry_at });
        self.apply(next)
    }

    fn announcement(&self, notice: Notice) -> Announcement {
        let recording_id = self.recording_id;
        let (id, detail_type, status, about) = match notice {
            Notice::Stored { transcript_id } => {
                let is_about = |transcript: &&Transcript| transcript.state.transcript_id() == Some(transcript_id);
                let about = self.transcripts.iter().find(is_about);
                (format!("{transcript_id}:stored"), "Transcript Stored", Status::Stored, about)
            }
            Notice::Failed { status, end } => {
                let about = self.transcripts.iter().rev().find(|transcript| transcript.attempt.is_some());
                (format!("{recording_id}:failed:{end}"), "Transcript Failed", status, about)
            }
            Notice::Expiring => (format!("{recording_id}:expiring"), "Recording Expiring", self.status(), None),
        };
        let receipt = about.and_then(|transcript| transcript.state.receipt());
        let provider = about.and_then(|transcript| transcript.provider.clone());
        Announcement {
            id,
            detail_type,
            notice,
            recording_id,
            transcript_id: about.and_then(|transcript| transcript.state.transcript_id()),
            bot_id: self.bot_id,
            status,
            provider: provider.or_else(|| receipt.and_then(|receipt| receipt.provider.clone())),
            attempt: about.and_then(|transcript| transcript.attempt),
            sub_code: about.and_then(|transcript| transcript.state.sub_code()).or_else(|| self.recording.sub_code()),
            manifest_key: receipt.map(|receipt| receipt.manifest_key.clone()),
            counts: receipt.map(|receipt| receipt.counts.into()),
            title: receipt.and_then(|receipt| receipt.title.clone()),
            expires_at: self.expires_at.map(Timestamp::rfc3339),
        }
    }
}
