//! `redrive` and `drop`: changes of chosen dead letters, one after another.

use serde::Serialize;

use super::{
    letter::{DeadLetter, Facts, Kind},
    queue::{Pass, Queue, Survey},
    redrive::{Redrive, Sent},
    say_unseen, unknown_message,
};
use crate::{
    args::{Chosen, Global},
    confirm::{self, Answer},
    error::CliError,
    output::Output,
};

/// How many dead letters are named before the question.
const MAX_NAMED: usize = 20;

/// What to do with each dead letter.
pub(super) enum Effect<'a> {
    Redrive(Redrive<'a>),
    Drop { reason: &'a str },
}

/// A change in the making.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) queue: &'a Queue,
    pub(super) global: &'a Global,
    pub(super) output: &'a Output,
}

/// What became of one dead letter.
#[derive(Debug, Serialize)]
struct Line<'a> {
    message_id: &'a str,
    kind: Kind,
    #[serde(flatten)]
    facts: &'a Facts,
    #[serde(flatten)]
    result: LineResult<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum LineResult<'a> {
    Redriven {
        to: &'static str,
        sent: bool,
        /// The webhook's answer.
        outcome: Option<String>,
    },
    Dropped {
        dropped: bool,
        drop_reason: &'a str,
    },
}

impl Change<'_> {
    /// Shows what would be changed, asks, and changes one dead letter after the other.
    pub(super) async fn run(&self, chosen: &Chosen, mut effect: Effect<'_>) -> Result<(), CliError> {
        let Survey { letters, unseen } = self.queue.survey(self.output).await?;
        let letters = choose(letters, chosen, unseen)?;
        if letters.is_empty() {
            self.output.message("no dead letter that can be seen is chosen, so nothing was changed");
            say_unseen(self.output, unseen);
            return Ok(());
        }
        for letter in letters.iter().take(MAX_NAMED) {
            self.output.message(&letter.in_short(&self.output.times));
        }
        if letters.len() > MAX_NAMED {
            self.output.message(&format!("and {} more", letters.len() - MAX_NAMED));
        }
        if matches!(effect, Effect::Redrive(_)) {
            self.warn_of_unreadable(&letters);
        }
        let answer = confirm::ask(self.global, self.output, &question(&effect, &letters))?;
        if answer == Answer::DryRun {
            for letter in &letters {
                self.print(letter, &effect, None);
            }
            self.output.message("dry run: nothing was changed");
            return Ok(());
        }
        if let Effect::Redrive(redrive) = &mut effect {
            redrive.prepare(&letters).await?;
        }
        let all = letters.len();
        let failed = self.change_all(letters, &effect).await?;
        say_unseen(self.output, unseen);
        if failed == 0 { Ok(()) } else { Err(CliError::some_of("dead letters", failed, all)) }
    }

    /// Returns how many could not be changed.
    async fn change_all(&self, mut letters: Vec<DeadLetter>, effect: &Effect<'_>) -> Result<usize, CliError> {
        let (mut failed, mut deleted) = (0, Vec::new());
        let mut pass = Pass::new(self.queue);
        let result = loop {
            let mut rest = Vec::new();
            for letter in letters {
                let Some(handles) = pass.handles_of(&letter) else {
                    rest.push(letter);
                    continue;
                };
                if let Err(error) = self.change(&letter, &handles, effect, &mut deleted).await {
                    self.output.error(&error);
                    failed += 1;
                }
            }
            letters = rest;
            if letters.is_empty() {
                break Ok(());
            }
            match pass.more().await {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        pass.end(&deleted, self.output).await;
        result?;
        for letter in &letters {
            self.output.error(&unknown_message(letter.message_id(), 1));
        }
        Ok(failed + letters.len())
    }

    async fn change(
        &self,
        letter: &DeadLetter,
        handles: &[String],
        effect: &Effect<'_>,
        deleted: &mut Vec<String>,
    ) -> Result<(), CliError> {
        let id = letter.message_id();
        // No one else may handle it at the same time.
        for handle in handles {
            self.queue.keep(handle).await.map_err(|error| error.about(id))?;
        }
        let sent = match effect {
            Effect::Redrive(redrive) => Some(redrive.send(letter).await.map_err(|error| error.about(id))?),
            Effect::Drop { .. } => None,
        };
        for handle in handles {
            self.queue.delete(handle).await.map_err(|error| {
                let error = error.about(id);
                if sent.is_some() {
                    error.hint("it was sent, and is still here; sending it twice is safe")
                } else {
                    error
                }
            })?;
            deleted.push(handle.clone());
        }
        self.print(letter, effect, Some(sent.as_ref()));
        match sent {
            Some(Sent::Delivered { outcome }) if outcome == "parked" => Err(CliError::failed(
                "parked_again",
                format!("{id}: the webhook could not read it, and parked it again"),
            )
            .hint("it has a new message ID; deploy a version that can read it first")),
            Some(Sent::Delivered { .. } | Sent::Queued) | None => Ok(()),
        }
    }

    /// Prints the result for one dead letter. `done`: `None` in a dry run.
    fn print(&self, letter: &DeadLetter, effect: &Effect<'_>, done: Option<Option<&Sent>>) {
        let outcome = done.flatten().and_then(|sent| match sent {
            Sent::Delivered { outcome } => Some(outcome.clone()),
            Sent::Queued => None,
        });
        if self.output.json {
            let result = match effect {
                Effect::Redrive(_) => LineResult::Redriven { to: target(letter), sent: done.is_some(), outcome },
                Effect::Drop { reason } => LineResult::Dropped { dropped: done.is_some(), drop_reason: reason },
            };
            let (message_id, kind, facts) = (letter.message_id(), letter.kind, &letter.facts);
            self.output.object(&Line { message_id, kind, facts, result });
            return;
        }
        let what = match (effect, done) {
            (Effect::Redrive(_), None) => format!("would be sent to the {}", target(letter).replace('_', " ")),
            (Effect::Redrive(_), Some(_)) => match outcome {
                Some(outcome) => format!("delivered to the webhook: {outcome}"),
                None => "sent to the work queue".to_owned(),
            },
            (Effect::Drop { .. }, None) => "would be dropped".to_owned(),
            (Effect::Drop { reason }, Some(_)) => format!("dropped: {reason}"),
        };
        // What was dropped is recorded nowhere else, so its line says all that is known.
        let which = match effect {
            Effect::Redrive(_) => letter.message_id().to_owned(),
            Effect::Drop { .. } => letter.in_short(&self.output.times),
        };
        self.output.text(&format!("{which}  {what}"));
    }

    fn warn_of_unreadable(&self, letters: &[DeadLetter]) {
        let is_message = |letter: &&DeadLetter| letter.kind != Kind::UnreadableDelivery;
        let unreadable = letters.iter().filter(is_message).filter(|letter| letter.message().is_none()).count();
        if unreadable > 0 {
            self.output.message(&format!(
                "{unreadable} of them cannot be read as a message, and come back unless the functions can read them now"
            ));
        }
    }
}

fn target(letter: &DeadLetter) -> &'static str {
    match letter.kind {
        Kind::UnfinishedWork | Kind::UnreadableMessage => "work_queue",
        Kind::UnreadableDelivery => "webhook",
    }
}

/// Returns the chosen dead letters.
///
/// # Errors
/// One that was named is not there.
fn choose(letters: Vec<DeadLetter>, chosen: &Chosen, unseen: usize) -> Result<Vec<DeadLetter>, CliError> {
    let Chosen { message_ids, filters, all: _ } = chosen;
    if message_ids.is_empty() {
        return Ok(letters.into_iter().filter(|letter| letter.matches(filters)).collect());
    }
    let has = |letter: &DeadLetter, id: &String| letter.message_ids().any(|own| own == id);
    if let Some(unknown) = message_ids.iter().find(|id| !letters.iter().any(|letter| has(letter, id))) {
        return Err(unknown_message(unknown, unseen));
    }
    Ok(letters.into_iter().filter(|letter| message_ids.iter().any(|id| has(letter, id))).collect())
}

fn question(effect: &Effect<'_>, letters: &[DeadLetter]) -> String {
    let all = letters.len();
    let these = if all == 1 { "1 dead letter".to_owned() } else { format!("{all} dead letters") };
    let deliveries = letters.iter().filter(|letter| letter.kind == Kind::UnreadableDelivery).count();
    match effect {
        Effect::Drop { .. } => format!("{these}: delete for good?"),
        Effect::Redrive(_) if deliveries == 0 => format!("{these}: send to the work queue again?"),
        Effect::Redrive(_) if deliveries == all => format!("{these}: deliver to the webhook again?"),
        Effect::Redrive(_) => format!(
            "{these}: send {} to the work queue and deliver {deliveries} to the webhook again?",
            all - deliveries
        ),
    }
}
