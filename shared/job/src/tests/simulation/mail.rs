//! What is delivered to the functions: webhooks, which their sender retries, and messages of the work queue.

use std::time::Duration;

use super::{HOUR, MINUTE, SECOND, worker::Worker, world::World};
use crate::{Event, time::Timestamp};

/// The sender's retry schedule, counted from the failure before.
const SCHEDULE: [Duration; 7] = [
    SECOND.saturating_mul(5),
    MINUTE.saturating_mul(5),
    MINUTE.saturating_mul(30),
    HOUR.saturating_mul(2),
    HOUR.saturating_mul(5),
    HOUR.saturating_mul(10),
    HOUR.saturating_mul(10),
];
/// A message that was received this many times goes to the dead-letter queue instead of a worker.
const MAX_RECEIVES: u32 = 20;

/// Something that will be delivered to a function.
#[derive(Clone)]
pub(super) struct Mail {
    pub(super) event: Event,
    pub(super) at: Timestamp,
    pub(super) to: To,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum To {
    /// The sender's tries so far.
    Webhook { tries: usize },
    /// How many times a worker received it. A wake-up that replaces a wait is a new message, and counts from 0.
    Transcript { receives: u32 },
}

impl World {
    pub(super) fn webhook(&mut self, event: Event, at: Timestamp) {
        if !self.no_webhooks {
            self.mail.push(Mail { event, at, to: To::Webhook { tries: 0 } });
        }
    }

    pub(super) fn message(&mut self, event: Event, at: Timestamp) {
        self.mail.push(Mail { event, at, to: To::Transcript { receives: 0 } });
    }

    /// Delivers what is due.
    pub(super) fn deliver(&mut self) {
        let due: Vec<usize> = (0..self.mail.len()).filter(|index| self.mail[*index].at <= self.now).collect();
        let Some(index) = self.rng.choice(due) else { return };
        let Mail { event, to, .. } = self.mail.swap_remove(index);
        match to {
            To::Webhook { .. } if self.now < self.deaf_until => self.come_again(event, to, self.now),
            // The webhook function queues everything but this, and answers once the message is on the queue.
            To::Webhook { .. } if !matches!(event, Event::RecordingDone(_)) => self.message(event, self.now),
            To::Transcript { receives: MAX_RECEIVES } => {}
            To::Transcript { receives } => self.begin(event, To::Transcript { receives: receives + 1 }),
            To::Webhook { .. } => self.begin(event, to),
        }
    }

    fn begin(&mut self, event: Event, to: To) {
        let skew_ms = self.rng.i64(-500..=500);
        self.workers.push(Worker::new(event, to, self.now, skew_ms, self.row.clone()));
    }

    /// The sender retries on its own schedule, and gives up in the end. A message returns when it becomes visible.
    pub(super) fn come_again(&mut self, event: Event, to: To, at: Timestamp) {
        match to {
            To::Webhook { tries } => {
                if let Some(wait) = SCHEDULE.get(tries) {
                    self.mail.push(Mail { event, at: self.now.plus(*wait), to: To::Webhook { tries: tries + 1 } });
                }
            }
            To::Transcript { .. } => self.mail.push(Mail { event, at: at.max(self.now), to }),
        }
    }
}
