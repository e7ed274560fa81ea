//! What an operator, or a program, asks for: another attempt, or the readable files again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Claim, Command, Context, Decision, Hold, Job, Next, Reason, Receipt, Recording, RenderAnswer, State,
    waits::{asked, doubled},
};
use crate::{ids::TranscriptId, time::Timestamp};

/// The first wait after rendering failed; it doubles with every try.
const RENDER_WAIT: Duration = Duration::from_secs(10);
const RENDER_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// After this many tries, about seven hours, rendering is given up, and an operator is told. What was stored before is
/// still there.
const RENDER_TRIES: u32 = 16;

/// Another attempt that a person asked for, whatever the job had come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// This one of the chain comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// The readable files are rendered again, under a lease: two workers that write the same keys would tear the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendering {
    /// Only this one; `None` for all that are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript_id: Option<TranscriptId>,
    pub retry_at: Timestamp,
    /// The worker that renders; `None` while it waits.
    pub claim: Option<Claim>,
    pub tries: u32,
}

impl Job {
    /// Starts one new attempt, whatever state the job ended in. `after_attempt` is the newest attempt that the sender
    /// knew of, so a message that comes twice pays once.
    pub(super) fn on_retry(mut self, provider: Option<&str>, after_attempt: u32, context: Context<'_>) -> Decision {
        match self.recording {
            _ if self.version == 0 => return Decision::Ignore(Reason::UnknownRecording),
            Recording::Deleted => return Decision::Ignore(Reason::RecordingDeleted),
            Recording::Failed { .. } => return Decision::Ignore(Reason::AlreadyEnded),
            // First Recall says whether it has failed.
            Recording::Unknown if self.is_said_to_have_failed() => return Decision::Ignore(Reason::AlreadyRequested),
            Recording::Unknown | Recording::Done => {}
        }
        if after_attempt < self.attempts {
            return Decision::Ignore(Reason::Overtaken);
        }
        let in_progress = self.transcripts.iter().any(|one| {
            one.attempt.is_some()
                && matches!(one.state, State::Creating(_) | State::Transcribing { .. } | State::Copying(_))
        });
        if in_progress || self.retry.is_some() {
            return Decision::Ignore(Reason::AlreadyRequested);
        }
        if provider.is_some_and(|name| !context.policy.providers.iter().any(|known| known == name)) {
            return Decision::Ignore(Reason::UnknownProvider);
        }
        if let Some(Hold::Unread { retry_at, claim: Some(_), .. }) = self.hold
            && context.now < retry_at
        {
            return Decision::Busy { retry_at };
        }
        // What is being deleted may be the recording, and then another transcript would be paid for nothing.
        if let Some(retry_at) = self.deletion.filter(|one| one.claim.is_some()).map(|one| one.retry_at)
            && context.now < retry_at
        {
            return Decision::Busy { retry_at };
        }
        self.retry = Some(Retry { provider: provider.map(str::to_owned) });
        self.hold = None;
        self.pursue(context)
    }

    /// Nothing is started now: what a person asked for waits with the rest, or it is over, at the limit or with its
    /// recording gone.
    pub(super) fn end_retry(&mut self, reason: Reason) {
        self.retry = self.retry.take().filter(|_| reason == Reason::AlreadyRequested);
    }

    /// What a person asked for goes on when nothing is left that it waits for, whatever ended that.
    pub(super) fn take_up_retry(&mut self, context: Context<'_>) -> Option<Next> {
        let gone = matches!(self.recording, Recording::Deleted | Recording::Failed { .. });
        let waits = self.hold.is_some() || self.is_creating() || self.deletion.is_some();
        (self.retry.is_some() && !gone && !waits).then(|| self.start_soon(context))
    }

    /// Whether the next attempt is to be started: a person asked for it, or none of ours stands.
    pub(super) fn wants_attempt(&self) -> bool {
        self.retry.is_some() || !self.transcripts.iter().any(super::Transcript::stands)
    }

    pub(super) fn on_render(mut self, transcript_id: Option<TranscriptId>, context: Context<'_>) -> Decision {
        if self.to_render(transcript_id).is_empty() {
            return Decision::Ignore(Reason::NothingStored);
        }
        let mut rendering = Rendering { transcript_id, retry_at: context.now, claim: None, tries: 0 };
        if let Some(before) = self.rendering {
            if before.claim.is_some() && context.now < before.retry_at {
                return Decision::Busy { retry_at: before.retry_at };
            }
            if before.transcript_id != transcript_id {
                rendering.transcript_id = None;
            }
        }
        self.rendering = Some(rendering);
        self.rendering_stopped_at = None;
        self.render(context)
    }

    /// Takes the lease. Nothing is deleted meanwhile, because a deletion reads back what is being written.
    pub(super) fn render(mut self, context: Context<'_>) -> Decision {
        if let Some(retry_at) = self.deletion.filter(|one| one.claim.is_some()).map(|one| one.retry_at)
            && context.now < retry_at
        {
            return Decision::Busy { retry_at };
        }
        let claim = self.next_claim();
        let Some(rendering) = &mut self.rendering else { return Decision::Ignore(Reason::NotDue) };
        // Who held it before never said how it went: it died.
        rendering.tries = rendering.tries.saturating_add(u32::from(rendering.claim.is_some()));
        if rendering.tries >= RENDER_TRIES {
            (self.rendering, self.rendering_stopped_at) = (None, Some(context.now));
            return self.advanced(Next::Nothing, context);
        }
        (rendering.retry_at, rendering.claim) = (context.lease_until, Some(claim));
        let wanted = rendering.transcript_id;
        let transcripts = self.to_render(wanted);
        if transcripts.is_empty() {
            self.rendering = None;
            return self.advanced(Next::Nothing, context);
        }
        self.advanced(Next::Act(Command::Render { transcripts, claim }), context)
    }

    pub(super) fn on_render_answer(mut self, claim: Claim, answer: RenderAnswer, context: Context<'_>) -> Decision {
        let Some(held) = self.rendering.filter(|rendering| rendering.claim == Some(claim)) else {
            return Decision::Ignore(Reason::Overtaken);
        };
        let next = match answer {
            RenderAnswer::Later { after } if held.tries + 1 < RENDER_TRIES => {
                let wait = doubled(RENDER_WAIT, held.tries, RENDER_WAIT_MAX);
                let retry_at = self.chosen(wait, context.now).max(asked(after, context.now));
                self.rendering = Some(Rendering { retry_at, claim: None, tries: held.tries + 1, ..held });
                Next::Wait { retry_at: retry_at }
            }
            RenderAnswer::Rendered => {
                (self.rendering, self.rendering_stopped_at) = (None, None);
                Next::Nothing
            }
            RenderAnswer::NotAsStored | RenderAnswer::Later { .. } => {
                (self.rendering, self.rendering_stopped_at) = (None, Some(context.now));
                Next::Nothing
            }
        };
        self.advanced(next, context)
    }

    pub(super) fn is_rendering(&self, now: Timestamp) -> bool {
        self.rendering.is_some_and(|rendering| rendering.claim.is_some() && now < rendering.retry_at)
    }

    fn to_render(&self, wanted: Option<TranscriptId>) -> Vec<(TranscriptId, Receipt)> {
        let stored = self.transcripts.iter().filter_map(|one| Some((one.state.transcript_id()?, one.state.receipt()?)));
        let wanted = stored.filter(|(id, _)| wanted.is_none_or(|wanted| wanted == *id));
        wanted.map(|(id, receipt)| (id, receipt.clone())).collect()
    }
}
