//! Rendering the readable files again from what is in S3.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Claim, Command, Context, Decision, Deletion, Job, Next, Reason, Receipt,
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
            if before.claim.is_some() && context.now < before.retry_at {
                return Decision::Busy { retry_at: before.retry_at };
            }
            if before.transcript_id != transcript_id {
                rendering.transcript_id = None;
            }
        }
        self.rendering = Some(rendering);
        self.rendering_stopped_at = None;
        self.start_rendering(context)
    }

    /// Claims the rendering. A deletion reads back what is being written, so the two never run at the same time.
    pub(crate) fn start_rendering(mut self, context: Context<'_>) -> Decision {
        if let Some(retry_at) =
            self.deletion.as_ref().and_then(|deletion| Deletion::leased_until(deletion, context.now))
        {
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
        if transcripts.is_empty() {
            self.rendering = None;
            return self.apply(Next::Nothing);
        }
        self.apply(Next::Act(Command::Render { transcripts, claim }))
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

    /// Returns what is stored of one transcript, or of all.
    fn stored(&self, wanted: Option<TranscriptId>) -> Vec<(TranscriptId, Receipt)> {
        let stored = self.transcripts.iter().filter_map(|one| Some((one.state.transcript_id()?, one.state.receipt()?)));
        let wanted = stored.filter(|(id, _)| wanted.is_none_or(|wanted| wanted == *id));
        wanted.map(|(id, receipt)| (id, receipt.clone())).collect()
    }
}
