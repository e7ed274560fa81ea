//! Which transcript an event is about, and what is noted of one that the row does not know.

use crate::ids::TranscriptId;

use super::{
    Context, Decision, Job, Next, Reason, Recording, State, Transcript, TranscriptRef, creates::MAX_REMEMBERED,
};

impl Job {
    /// Somebody else's transcript that is gone before we hear of it: it is nothing to keep. But webhooks come in any order,
    /// and what an older one says of it must not count towards the limit.
    pub(super) fn came_and_went(mut self, reference: TranscriptRef, context: Context<'_>) -> Decision {
        let is_known = self.version > 0 && self.recording != Recording::Deleted;
        if !is_known || reference.ours().is_some() || self.transcripts.len() >= MAX_REMEMBERED {
            return Decision::Ignore(Reason::UnknownTranscript);
        }
        let index = self.learn(reference, State::Foreign { transcript_id: reference.transcript_id });
        self.transcripts[index].deleted = true;
        self.advanced(Next::Nothing, context)
    }

    /// Notes that another deployment asked for this transcript, which its metadata says. An event without metadata
    /// changes nothing. Returns whether that is news.
    pub(super) fn learn_whose(&mut self, id: TranscriptId, other_deployment: bool) -> bool {
        let known = self.transcripts.iter_mut().find(|one| one.state.transcript_id() == Some(id));
        known.is_some_and(|known| other_deployment && !std::mem::replace(&mut known.other_deployment, true))
    }

    /// By Recall's id; else by the attempt that our metadata names, if that create still waits for its answer.
    pub(super) fn find(&self, reference: TranscriptRef) -> Option<usize> {
        let by_id = self
            .transcripts
            .iter()
            .position(|transcript| transcript.state.transcript_id() == Some(reference.transcript_id));
        by_id.or_else(|| {
            let ours = reference.ours();
            self.transcripts
                .iter()
                .position(|transcript| matches!(transcript.state, State::Creating(_)) && transcript.attempt == ours)
        })
    }

    /// It is not ours, and the operator does not want others'.
    pub(super) fn unwanted(&self, reference: TranscriptRef, context: Context<'_>) -> bool {
        reference.ours().is_none() && !context.policy.copy_unrequested
    }

    /// Notes a transcript that is not ours to copy: it counts towards the limit all the same.
    pub(super) fn leave(mut self, reference: TranscriptRef, context: Context<'_>) -> Decision {
        self.learn(reference, State::Foreign { transcript_id: reference.transcript_id });
        self.may_be_known(context);
        self.advanced(Next::Nothing, context)
    }

    /// Adds a transcript that we hear of for the first time, and says where. If it is an attempt that the row does not
    /// know, the row is older than the attempt (a restored table), and the attempt counts all the same. If the row
    /// says that the attempt was refused, it was not.
    pub(super) fn learn(&mut self, reference: TranscriptRef, state: State) -> usize {
        let attempt = reference.ours();
        self.attempts = self.attempts.max(attempt.unwrap_or(0));
        let refused = self.transcripts.iter().position(|transcript| {
            matches!(transcript.state, State::Refused { .. })
                && transcript.attempt.is_some_and(|of| Some(of) == attempt)
        });
        if let Some(index) = refused {
            self.transcripts[index].state = state;
            return index;
        }
        self.transcripts
            .push(Transcript { other_deployment: reference.other_deployment, ..Transcript::new(attempt, None, state) });
        self.transcripts.len() - 1
    }
}
