//! Rendering the readable files again from what is in S3.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Claim, Command, Context, Decision, Job, Next, Reason, Version,
    leases::leased_until,
    waits::{MAX_RENDER_TRIES, RENDER_BACKOFF, recall_retry_at},
};
use crate::{ids::TranscriptId, time::Timestamp};

/// A request to render the readable files again. It needs a lease: two workers that write the same keys would mix two
/// sets of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendering {
    /// Only this transcript; `None` for all that are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript_id: Option<TranscriptId>,
    pub retry_at: Timestamp,
    /// The worker that renders; `None` while the request waits.
    pub claim: Option<Claim>,
    pub tries: u32,
}

/// How rendering went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderAnswer {
    Rendered,
    /// What is in S3 is not what was stored; the log says what differs. Another try does not change that.
    NotAsStored,
    Later {
        after: Duration,
    },
}

impl Job {
    /// A person requests the readable files again. Two requests for different transcripts become one for all.
    pub(crate) fn on_render(mut self, transcript_id: Option<TranscriptId>, context: Context<'_>) -> Decision {
        if self.stored(transcript_id).is_empty() {
            return Decision::Ignore(Reason::NothingStored);
        }
        let mut rendering = Rendering { transcript_id, retry_at: context.now, claim: None, tries: 0 };
        if let Some(before) = self.rendering {
            if let Some(retry_at) = leased_until(before.claim, before.retry_at, context.now) {
                return Decision::Busy { retry_at };
            }
            if before.transcript_id != transcript_id {
                rendering.transcript_id = None;
            }
        }
        self.rendering = Some(rendering);
        self.rendering_stopped_at = None;
        self.start_rendering(context)
    }

    /// Claims the rendering. A deletion reads back what is being written, and the work that follows a copy writes the
    /// same files, so only one of these runs at a time.
    pub(crate) fn start_rendering(mut self, context: Context<'_>) -> Decision {
        if let Some(retry_at) = self.manifests_leased_until(context.now) {
            return Decision::Busy { retry_at };
        }
        let claim = self.next_claim();
        let Some(rendering) = &mut self.rendering else { return Decision::Ignore(Reason::NotDue) };
        // A claim that is still there belongs to a worker that died.
        rendering.tries = rendering.tries.saturating_add(u32::from(rendering.claim.is_some()));
        if rendering.tries >= MAX_RENDER_TRIES {
            (self.rendering, self.rendering_stopped_at) = (None, Some(context.now));
            return self.apply(Next::Nothing);
        }
        (rendering.retry_at, rendering.claim) = (context.lease_until, Some(claim));
        let wanted = rendering.transcript_id;
        let transcripts = self.stored(wanted);
        match self.newest_stored() {
            Some(Version { transcript_id: newest, .. }) if !transcripts.is_empty() => {
                self.apply(Next::Act(Command::Render { transcripts, newest, claim }))
            }
            _ => {
                self.rendering = None;
                self.apply(Next::Nothing)
            }
        }
    }

    /// Rendering is finished, or waits for its next try, or is given up.
    pub(crate) fn on_render_answer(mut self, claim: Claim, answer: RenderAnswer, context: Context<'_>) -> Decision {
        let Some(held) = self.rendering.filter(|rendering| rendering.claim == Some(claim)) else {
            return Decision::Ignore(Reason::Overtaken);
        };
        let next = match answer {
            RenderAnswer::Later { after } if held.tries + 1 < MAX_RENDER_TRIES => {
                let own = self.wait_until(RENDER_BACKOFF.wait(held.tries), context.now);
                let retry_at = own.max(recall_retry_at(after, context.now));
                self.rendering = Some(Rendering { retry_at, claim: None, tries: held.tries + 1, ..held });
                Next::Wait { retry_at }
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
        self.apply(next)
    }
}
