//! Disturbances: duplicates, old messages, deletions, outages, keys of another workspace, requests of people, and
//! transcripts of others.

use std::time::Duration;

use super::{HOUR, MINUTE, mail::Mail, recall::Made, world::World};
use crate::{Event, TranscriptRef, ids::TranscriptId};

impl World {
    pub(super) fn disturb(&mut self) {
        match self.rng.u8(0..25) {
            0..=2 if self.recall.is_example => self.send_example(),
            0 if !self.recall.gone => drop(self.make(None, Duration::ZERO)),
            1 => self.delete_all(),
            2 if !self.recall.made.is_empty() => self.delete_one(),
            3 => self.recall.down_until = self.now.plus(MINUTE * self.rng.u32(1..200)),
            4 => self.deaf_until = self.now.plus(MINUTE * self.rng.u32(1..200)),
            // Someone redrives messages that are a week old.
            5 if !self.mail.is_empty() => {
                let event = self.any_mail().event;
                self.message(event, self.now.plus(7 * 24 * HOUR));
            }
            6 if !self.mail.is_empty() => {
                let index = self.rng.usize(0..self.mail.len());
                self.mail.swap_remove(index);
            }
            7 => self.message(Event::Wake { now: true }, self.now),
            8..=9 if !self.recall.is_example => self.ask_again(),
            10 => {
                let one = if self.rng.bool() { self.rng.choice(&self.recall.made).map(|made| made.id) } else { None };
                self.message(Event::Render { transcript_id: one }, self.now);
            }
            11 => {
                // Someone dismisses the end that the table shows, or an older one.
                let ended_at = self.row.ended_at.filter(|_| self.rng.bool()).unwrap_or(self.now);
                let at = self.now.plus(MINUTE * self.rng.u32(0..200));
                self.message(Event::Dismiss { ended_at }, at);
            }
            12 => {
                let minutes = if self.rng.bool() { self.rng.u32(1..200) } else { self.rng.u32(1..2500) };
                self.recall.foreign_until = self.now.plus(MINUTE * minutes);
            }
            _ if !self.mail.is_empty() => {
                let copy = self.any_mail();
                self.mail.push(copy);
            }
            _ if !self.recall.has_failed && !self.recall.is_example => {
                let event = self.done();
                self.webhook(event, self.now);
            }
            _ => {}
        }
    }

    /// Someone presses "send example", always for the same event, with made-up ids. Not `recording.done`: an attempt
    /// whose worker died is looked up for a month.
    pub(super) fn send_example(&mut self) {
        let mut examples = Event::example_samples();
        examples.retain(|event| !matches!(event, Event::RecordingDone(_)));
        let which = usize::try_from(self.seed).unwrap_or_default() / 7 % examples.len();
        self.webhook(examples[which].clone(), self.now);
    }

    /// A person requests another attempt, according to the table. The message may be delivered twice.
    fn ask_again(&mut self) {
        let asked = self.rng.choice(["recallai_async", "rev_async", "unknown_async"]);
        let provider = asked.filter(|_| self.rng.bool()).map(str::to_owned);
        let retry = Event::Retry { provider, after_attempt: self.row.attempts };
        for _ in 0..self.rng.usize(1..=2) {
            self.message(retry.clone(), self.now);
        }
    }

    fn any_mail(&mut self) -> Mail {
        let index = self.rng.usize(0..self.mail.len());
        self.mail[index].clone()
    }

    /// Someone else deletes a transcript.
    fn delete_one(&mut self) {
        let index = self.rng.usize(0..self.recall.made.len());
        let made = &mut self.recall.made[index];
        if made.exists_at <= self.now && !made.deleted {
            made.delete(self.now, false);
            let reference = TranscriptRef { transcript_id: made.id, attempt: made.attempt, other_deployment: false };
            self.webhook(Event::TranscriptDeleted(reference), self.now);
        }
    }

    /// Recall deletes the recording, with all its transcripts.
    pub(super) fn delete_all(&mut self) {
        if !self.recall.gone && !self.recall.is_example {
            self.recall.gone = true;
            self.recall.made.iter_mut().filter(|made| !made.deleted).for_each(|made| made.delete(self.now, false));
            self.webhook(Event::RecordingDeleted, self.now);
        }
    }

    /// Recall makes a transcript and sends its webhooks, which may be lost.
    pub(super) fn make(&mut self, attempt: Option<u32>, delay: Duration) -> TranscriptId {
        let made = self.recall.make(&mut self.rng, self.now, attempt, delay);
        self.tell_of(&made);
        made.id
    }

    pub(super) fn tell_of(&mut self, made: &Made) {
        let reference = TranscriptRef { transcript_id: made.id, attempt: made.attempt, other_deployment: false };
        let end = match made.is_good() {
            true => Event::TranscriptDone(reference),
            false => Event::TranscriptFailed { reference, sub_code: None },
        };
        let recovered = made.recovered_at.map(|at| (Event::TranscriptDone(reference), at));
        let webhooks = [(Event::TranscriptProcessing(reference), made.exists_at), (end, made.done_at)];
        for (event, at) in webhooks.into_iter().chain(recovered) {
            if self.rng.u8(0..4) > 0 {
                self.webhook(event, at);
            }
        }
    }
}
