//! Our own attempts: when one is started, repeated, looked up, or not needed.

use std::time::Duration;

use super::{
    Claim, Command, Context, Creating, Decision, Deletion, ERRORS_BEFORE_LOOK_UP, Hold, Job, KEY_REUSE, LIST_SETTLE,
    Next, Reason, Recording, State, Target, Transcript, Why, doubled, in_time,
};

/// The wait before the next try after a failed one; it doubles with every try.
const RETRY_WAIT: Duration = Duration::from_secs(60);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// So often Recall must say that it does not know the recording (404) before that is believed: an hour in all. Nothing
/// is paid for these.
const UNKNOWN_TRIES: usize = 7;
/// So many wished languages are dropped. Whatever the metadata names after that may use up its provider.
const MAX_REFUSED_LANGUAGES: usize = 10;

impl Job {
    /// Brings our own attempt forward: starts one, repeats the call of one whose outcome is unknown, or finds that
    /// there is nothing left to ask for.
    pub(super) fn pursue(mut self, context: Context<'_>) -> Decision {
        let creating = self.transcripts.iter().position(|transcript| matches!(transcript.state, State::Creating(_)));
        if let Some(index) = creating {
            return self.repeat(index, context);
        }
        match self.recording {
            Recording::Deleted => return Decision::Ignore(Reason::RecordingDeleted),
            Recording::Failed { .. } => return Decision::Ignore(Reason::AlreadyEnded),
            // Somebody else's transcripts are no reason to ask for one of our own.
            Recording::Unknown if self.attempts == 0 => return Decision::Ignore(Reason::UnknownRecording),
            Recording::Unknown | Recording::Done => {}
        }
        if self.transcripts.iter().any(Transcript::stands) {
            let held = self.hold.is_some();
            self.settled();
            // Somebody should have looked at it by now; perhaps the wake-up was lost.
            if self.due_at().is_some_and(|due_at| due_at <= context.now) {
                return self.advanced(Next::Act(Command::Wake), context);
            }
            if held {
                return self.advanced(Next::Nothing, context);
            }
            return Decision::Ignore(Reason::AlreadyRequested);
        }
        if self.wishes.skip {
            if self.hold == Some(Hold::Skipped) {
                return Decision::Ignore(Reason::Skipped);
            }
            self.hold = Some(Hold::Skipped);
            return self.advanced(Next::Nothing, context);
        }
        match self.hold {
            Some(Hold::Wait { until, .. }) if context.now < until => return Decision::Busy { until },
            Some(Hold::Wait { .. } | Hold::LimitReached | Hold::Skipped) | None => {}
        }
        let Some(provider) = self.next_provider(context) else {
            return Decision::Ignore(Reason::AlreadyEnded);
        };
        if self.transcript_count() < context.policy.max_transcripts {
            return self.start(provider, context);
        }
        self.make_room(context)
    }

    /// At the limit: deletes what may go, or parks the job.
    fn make_room(mut self, context: Context<'_>) -> Decision {
        if let Some(deletion) = self.deletion
            && context.now < deletion.until
        {
            return Decision::Busy { until: deletion.until };
        }
        // The attempt that would be decided on anew is this one.
        let _ = self.keep_what_is_needed(context);
        if self.deletion.is_none() {
            let Some(id) = self.to_make_room(context) else {
                if self.hold == Some(Hold::LimitReached) {
                    return Decision::Ignore(Reason::LimitReached);
                }
                self.hold = Some(Hold::LimitReached);
                return self.advanced(Next::Nothing, context);
            };
            let (target, why) = (Target::Transcript(id), Why::Room);
            self.hold = None;
            self.deletion = Some(Deletion { target, why, until: context.now, claim: None, tries: 0 });
        }
        let next = self.delete(context).unwrap_or(Next::Nothing);
        self.advanced(next, context)
    }

    /// If the job was parked at the limit and something has gone since, however that came, it goes on.
    pub(super) fn go_on_in_new_room(&mut self, context: Context<'_>) -> Option<Next> {
        let room = self.hold == Some(Hold::LimitReached) && self.transcript_count() < context.policy.max_transcripts;
        room.then(|| self.start_soon(context))
    }

    /// The next attempt is decided on anew, with all that is known by then.
    pub(super) fn start_soon(&mut self, context: Context<'_>) -> Next {
        self.hold = Some(Hold::Wait { until: context.now, status: None, times: 0 });
        Next::Act(Command::Wake)
    }

    /// After one of our attempts has failed: when the next one starts, if there is to be one.
    pub(super) fn after_failure(&mut self, context: Context<'_>) -> Next {
        let over = self.transcripts.iter().any(Transcript::stands)
            || self.wishes.skip
            || matches!(self.recording, Recording::Deleted | Recording::Failed { .. });
        if over || self.next_provider(context).is_none() {
            return Next::Nothing;
        }
        let failures = self.transcripts.iter().filter(|transcript| transcript.attempt.is_some()).count();
        let times = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let wait = doubled(RETRY_WAIT, times, RETRY_WAIT_MAX);
        let until = context.now.plus(in_time(wait, self.expires_at, context.now));
        self.hold = Some(Hold::Wait { until, status: None, times });
        Next::Again { at: until }
    }

    /// The last attempt has failed, and the next one is to come.
    pub(super) fn awaits_next_try(&self) -> bool {
        matches!(self.hold, Some(Hold::Wait { status: None, .. }))
    }

    /// The chain, with the wished provider first.
    fn chain<'a>(&'a self, context: Context<'a>) -> impl Iterator<Item = &'a str> {
        let chain = context.policy.providers.iter().map(String::as_str);
        let wished = chain.clone().find(|name| self.wishes.provider.as_deref() == Some(*name));
        wished.into_iter().chain(chain.filter(move |name| wished != Some(*name)))
    }

    /// The first provider of the chain that has tries left. What a provider's options were refused for (400) stays
    /// refused; a recording that Recall did not know (404) may be known by the next time, and costs no try.
    fn next_provider(&self, context: Context<'_>) -> Option<String> {
        let unknown = |transcript: &&Transcript| matches!(transcript.state, State::Refused { status: 404, .. });
        if self.transcripts.iter().filter(unknown).count() >= UNKNOWN_TRIES {
            return None;
        }
        let first = self.chain(context).next();
        let tries = |name: &str| {
            let of = |transcript: &&Transcript| {
                transcript.attempt.is_some() && transcript.provider.as_deref().or(first) == Some(name)
            };
            self.transcripts.iter().filter(of).fold(0_u32, |tries, transcript| match transcript.state {
                State::Refused { status: 404, .. } => tries,
                State::Refused { .. } => u32::MAX,
                State::Creating(_)
                | State::Transcribing { .. }
                | State::Copying(_)
                | State::Stored { .. }
                | State::Failed { .. }
                | State::Lost { .. }
                | State::Left { .. } => tries.saturating_add(1),
            })
        };
        self.chain(context).find(|name| tries(name) < context.policy.tries_per_provider).map(str::to_owned)
    }

    /// Claims a new attempt. The save makes the intent durable; the call follows it.
    fn start(mut self, provider: String, context: Context<'_>) -> Decision {
        let claim = self.next_claim();
        self.attempts += 1;
        let attempt = self.attempts;
        let creating = Creating {
            first_call_at: context.now,
            last_call_at: context.lease_until,
            calls: 1,
            errors: 0,
            until: context.lease_until,
            claim,
            refused: None,
        };
        self.transcripts.push(Transcript {
            attempt: Some(attempt),
            provider: Some(provider.clone()),
            state: State::Creating(creating),
            deleted: false,
            kept: false,
        });
        self.call(attempt, provider, claim, context)
    }

    /// The same attempt and key again while Recall remembers the key; after that, or when the same error keeps
    /// coming back, a look-up.
    pub(super) fn repeat(mut self, index: usize, context: Context<'_>) -> Decision {
        let claim = self.next_claim();
        let transcript = &mut self.transcripts[index];
        let (State::Creating(creating), Some(attempt)) = (&mut transcript.state, transcript.attempt) else {
            return Decision::Ignore(Reason::AlreadyRequested);
        };
        if context.now < creating.until {
            return Decision::Busy { until: creating.until };
        }
        let unknown =
            context.now.since(creating.first_call_at) >= KEY_REUSE || creating.errors >= ERRORS_BEFORE_LOOK_UP;
        let settled = creating.last_call_at.plus(LIST_SETTLE);
        if unknown && creating.refused.is_none() && context.now < settled {
            return Decision::Busy { until: settled };
        }
        creating.claim = claim;
        creating.until = context.lease_until;
        if unknown || creating.refused.is_some() {
            return self.advanced(Next::Act(Command::LookUp { attempt, claim }), context);
        }
        creating.last_call_at = context.lease_until;
        creating.calls += 1;
        let provider = transcript.provider.clone();
        let provider = provider.or_else(|| self.chain(context).next().map(str::to_owned)).unwrap_or_default();
        self.call(attempt, provider, claim, context)
    }

    fn call(mut self, attempt: u32, provider: String, claim: Claim, context: Context<'_>) -> Decision {
        let language = self.language(&provider, context);
        self.asked_language.clone_from(&language);
        self.advanced(Next::Act(Command::Create { attempt, provider, language, claim }), context)
    }

    /// The wished language is a word of one provider's, so it goes to the first of the chain only.
    fn language(&self, provider: &str, context: Context<'_>) -> Option<String> {
        let first = self.chain(context).next() == Some(provider);
        self.wishes.language.clone().filter(|language| first && !self.refused_languages.contains(language))
    }

    /// The attempt that carried a wished language was refused: it is tried without, for nonsense in metadata must not
    /// cost the transcript. Whether there was one, and for the first time.
    pub(super) fn drop_language(&mut self) -> bool {
        let room = self.refused_languages.len() < MAX_REFUSED_LANGUAGES;
        let asked = self.asked_language.take().filter(|language| room && !self.refused_languages.contains(language));
        self.refused_languages.extend(asked.clone());
        asked.is_some()
    }
}
