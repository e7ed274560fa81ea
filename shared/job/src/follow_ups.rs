//! What is left to do after a transcript was stored: what Recall had not made ready is fetched, and only the newest
//! transcript keeps a knowledge document.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Claim, Command, Context, Decision, Job, Next, Reason, Receipt, Rendering, Role, Version,
    leases::leased_until,
    waits::{FOLLOW_UP_BACKOFF, MAX_FOLLOW_UP_TRIES, recall_retry_at},
};
use crate::time::Timestamp;

/// The work that follows a copy. It needs a lease, because it rewrites manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    pub retry_at: Timestamp,
    /// The worker that does the work; `None` while the work waits.
    pub claim: Option<Claim>,
    pub tries: u32,
    /// Another transcript was stored while the worker was at work, so the work starts once more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
}

/// How the work went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowUpAnswer {
    /// Nothing is left to do, or another try does not help.
    Done,
    /// Recall still had not made everything ready.
    NotReady,
    /// The network, S3, or Recall failed.
    Later { after: Duration },
}

impl FollowUp {
    fn new(retry_at: Timestamp) -> Self {
        Self { retry_at, claim: None, tries: 0, repeat: false }
    }
}

impl Job {
    /// Notes what is left to do now that a transcript was stored.
    pub(crate) fn note_follow_up(&mut self, receipt: &Receipt, context: Context<'_>) {
        let now = context.now;
        // Another transcript may have a knowledge document although it is not the newest one.
        let has_several_documents = context.policy.has_knowledge && self.stored(None).len() > 1;
        let retry_at = if has_several_documents {
            now
        } else if receipt.awaits_meeting_data {
            self.wait_until(FOLLOW_UP_BACKOFF.wait(0), now)
        } else {
            return;
        };
        match &mut self.follow_up {
            Some(running) if leased_until(running.claim, running.retry_at, now).is_some() => running.repeat = true,
            _ => self.follow_up = Some(FollowUp::new(retry_at)),
        }
    }

    /// Claims the work that follows a copy, if it is due. The webhook function leaves it to the worker. A rendering
    /// rewrites the same manifests, and a deletion reads them back, so only one of these runs at a time.
    pub(crate) fn start_follow_up(&mut self, context: Context<'_>) -> Option<Next> {
        let waiting = self.follow_up.filter(|one| one.retry_at <= context.now)?;
        if self.manifests_leased_until(context.now).is_some() {
            return None;
        }
        // A claim that is still there belongs to a worker that died.
        let tries = waiting.tries.saturating_add(u32::from(waiting.claim.is_some()));
        let transcripts = self.stored(None);
        if tries >= MAX_FOLLOW_UP_TRIES {
            self.repair_after_follow_up(context.now);
            return None;
        }
        let Some(Version { transcript_id: newest, .. }) = self.newest_stored() else {
            self.follow_up = None;
            return None;
        };
        if context.role == Role::Webhook {
            self.follow_up = Some(FollowUp { tries, claim: None, ..waiting });
            return Some(Next::Act(Command::Wake));
        }
        let claim = self.next_claim();
        self.follow_up = Some(FollowUp { retry_at: context.lease_until, claim: Some(claim), tries, repeat: false });
        let is_last_try = tries + 1 >= MAX_FOLLOW_UP_TRIES;
        Some(Next::Act(Command::FollowUp { transcripts, newest, is_last_try, claim }))
    }

    /// The work is done, or waits for its next try, or is given up.
    pub(crate) fn on_follow_up_answer(
        mut self,
        claim: Claim,
        answer: FollowUpAnswer,
        context: Context<'_>,
    ) -> Decision {
        let Some(held) = self.follow_up.filter(|follow_up| follow_up.claim == Some(claim)) else {
            return Decision::Ignore(Reason::Overtaken);
        };
        let tries = held.tries + 1;
        let after = match answer {
            FollowUpAnswer::Later { after } => Some(after),
            FollowUpAnswer::NotReady => Some(Duration::ZERO),
            FollowUpAnswer::Done => None,
        };
        let next_try = after.filter(|_| tries < MAX_FOLLOW_UP_TRIES && !self.has_expired(context.now));
        let next = match next_try {
            _ if held.repeat => {
                self.follow_up = Some(FollowUp::new(context.now));
                Next::Nothing
            }
            Some(after) => {
                let own = self.wait_until(FOLLOW_UP_BACKOFF.wait(tries), context.now);
                let retry_at = own.max(recall_retry_at(after, context.now));
                self.follow_up = Some(FollowUp { retry_at, claim: None, tries, repeat: false });
                Next::Wait { retry_at }
            }
            None if matches!(answer, FollowUpAnswer::Later { .. }) => {
                self.repair_after_follow_up(context.now);
                Next::Nothing
            }
            None => {
                self.follow_up = None;
                Next::Nothing
            }
        };
        self.apply(next)
    }

    /// The work is given up because it failed. The worker may have withdrawn readable files, so they are rendered
    /// again, which has more tries and an alarm.
    fn repair_after_follow_up(&mut self, now: Timestamp) {
        self.follow_up = None;
        let rendering = Rendering { transcript_id: None, retry_at: now, claim: None, tries: 0 };
        self.rendering.get_or_insert(rendering);
    }
}
