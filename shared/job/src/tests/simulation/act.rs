//! What the commands of the core do in this world.

use std::ops::ControlFlow;

use super::{SECOND, world::World};
use crate::{
    Announcement, Answer, Command, CopyAnswer, Deletable, DeleteAnswer, DeleteStep, DeleteStepAnswer, DeletionSteps,
    DeletionTarget, Event, FollowUpAnswer, Notice, Receipt, RenderAnswer, TranscriptRef, ids::TranscriptId,
    tests::receipt,
};

impl World {
    pub(super) fn act(&mut self, command: &Command) -> Answer {
        let (now, calm) = (self.now, self.calm);
        match command {
            Command::Create { attempt, claim, .. } => {
                let (answer, made) = self.recall.create(&mut self.rng, now, calm, *attempt);
                if let Some(made) = made {
                    self.tell_of(&made);
                }
                Answer::Create { attempt: *attempt, claim: *claim, answer }
            }
            Command::LookUp { attempt, claim } => {
                let answer = self.recall.list(&mut self.rng, now, calm);
                Answer::LookUp { attempt: *attempt, claim: *claim, answer }
            }
            Command::Copy { transcript_id, claim, .. } => {
                let answer = self.copy(*transcript_id);
                Answer::Copy { transcript_id: *transcript_id, claim: *claim, answer }
            }
            Command::ReadRecording { claim } => {
                let info = self.recording_info();
                let answer = self.recall.read(&mut self.rng, now, calm, info);
                Answer::ReadRecording { claim: *claim, answer }
            }
            Command::List => Answer::List(self.recall.list(&mut self.rng, now, calm)),
            Command::Render { claim, .. } => {
                let answer = match if calm { 9 } else { self.rng.u8(0..10) } {
                    0..=3 => RenderAnswer::Later { after: SECOND },
                    4 => RenderAnswer::NotAsStored,
                    _ => RenderAnswer::Rendered,
                };
                Answer::Render { claim: *claim, answer }
            }
            Command::FollowUp { claim, .. } => {
                let answer = match if calm { 9 } else { self.rng.u8(0..10) } {
                    0..=2 => FollowUpAnswer::Later { after: SECOND },
                    3..=4 => FollowUpAnswer::NotReady,
                    _ => FollowUpAnswer::Done,
                };
                Answer::FollowUp { claim: *claim, answer }
            }
            Command::Delete { target, verify, deletable, claim } => {
                let answer = self.delete(*target, verify, deletable);
                Answer::Delete { target: *target, claim: *claim, answer }
            }
            Command::Announce { announcements } => Answer::Announce { sent: self.announce(announcements) },
            Command::Wake => {
                let sent = calm || self.rng.u8(0..4) > 0;
                if sent {
                    self.message(Event::WAKE, now);
                }
                Answer::Wake { sent }
            }
        }
    }

    fn copy(&mut self, id: TranscriptId) -> CopyAnswer {
        if let Some(answer) = self.recall.retrieve(&mut self.rng, self.now, self.calm, id) {
            return answer;
        }
        match if self.calm { 9 } else { self.rng.u8(0..14) } {
            0 => CopyAnswer::Later { after: SECOND },
            1 => CopyAnswer::Operator,
            2 => CopyAnswer::RenditionsRefused,
            3 => CopyAnswer::RenditionsLate,
            4 => CopyAnswer::EmptyBody,
            // The manifest is written, and its answer is lost.
            5 => {
                self.stored.insert(id);
                CopyAnswer::Later { after: SECOND }
            }
            _ => {
                self.stored.insert(id);
                let awaits_meeting_data = !self.calm && self.rng.bool();
                CopyAnswer::Stored(Receipt {
                    key: id.to_string(),
                    stored_at: self.now,
                    awaits_meeting_data,
                    ..receipt()
                })
            }
        }
    }

    /// Returns what is known to be announced. The bus may be down, or its answer lost.
    fn announce(&mut self, announcements: &[Announcement]) -> Vec<Notice> {
        let mut sent = Vec::new();
        for announcement in announcements {
            self.check_the_announcement(announcement);
            match if self.calm { 9 } else { self.rng.u8(0..10) } {
                0 => {}
                1 => drop(self.announced.insert(announcement.id.clone())),
                _ => {
                    self.announced.insert(announcement.id.clone());
                    sent.push(announcement.notice);
                }
            }
        }
        sent
    }

    fn delete(&mut self, target: DeletionTarget, verify: &[Receipt], deletable: &Deletable) -> DeleteAnswer {
        let mut deleting = DeletionSteps::new(target, verify.to_vec(), deletable.clone());
        loop {
            let said = match deleting.step() {
                DeleteStep::Verify(_) if !self.calm && self.rng.u8(0..20) == 0 => {
                    DeleteStepAnswer::Later { after: SECOND }
                }
                DeleteStep::Verify(receipt) => {
                    DeleteStepAnswer::Holds(self.stored.iter().any(|id| id.to_string() == receipt.key))
                }
                DeleteStep::List => DeleteStepAnswer::Listed(self.recall.list(&mut self.rng, self.now, self.calm)),
                DeleteStep::Retrieve(id) => {
                    DeleteStepAnswer::Listed(self.recall.look_up_one(&mut self.rng, self.now, id))
                }
                DeleteStep::Delete(target) => self.delete_at_recall(target),
                DeleteStep::RetrieveRecording => {
                    DeleteStepAnswer::Recording(self.recall.presence(&mut self.rng, self.now))
                }
            };
            match deleting.on_answer(said) {
                ControlFlow::Continue(next) => deleting = next,
                ControlFlow::Break(answer) => return answer,
            }
        }
    }

    fn delete_at_recall(&mut self, target: DeletionTarget) -> DeleteStepAnswer {
        self.check_the_deletion(target);
        let id = match target {
            DeletionTarget::Transcript(id) => Some(id),
            DeletionTarget::Recording => None,
        };
        let (said, gone) = self.recall.delete(&mut self.rng, self.now, self.calm, id);
        for id in &gone {
            // A deleted transcript is no longer done, and no webhook says so.
            let now = self.now;
            self.mail.retain(|mail| {
                mail.at <= now
                    || !matches!(mail.event, Event::TranscriptDone(reference) if reference.transcript_id == *id)
            });
            let attempt = self.recall.made.iter().find(|made| made.id == *id).and_then(|made| made.attempt);
            self.webhook(
                Event::TranscriptDeleted(TranscriptRef { transcript_id: *id, attempt, other_deployment: false }),
                self.now,
            );
        }
        if self.recall.gone && !gone.is_empty() {
            self.webhook(Event::RecordingDeleted, self.now);
        }
        said
    }
}
