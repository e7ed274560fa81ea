//! Our own attempts: when one is started, repeated, looked up, or not needed.

use std::time::Duration;

use super::{
    Claim, Command, Context, Creating, Decision, ERRORS_BEFORE_LOOK_UP, Hold, HoldCause, Job, KEY_REUSE, LIST_SETTLE,
    Next, OnLimit, Reason, Recording, Refusals, State, Transcript, waits::doubled,
};
use crate::time::Timestamp;

/// The wait before the next try after a failed one; it doubles with every try.
const RETRY_WAIT: Duration = Duration::from_secs(60);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// The last try of the whole chain comes no sooner than this after the last failure that was paid for, so that the chain
/// outlasts an outage. A refusal says nothing of one.
pub(super) const LAST_TRY_WAIT: Duration = Duration::from_secs(60 * 60);
/// The first wait after every provider was refused; it doubles every time.
const REFUSED_WAIT: Duration = Duration::from_secs(60 * 60);
const REFUSED_WAIT_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a refused chain starts again, where it is not known when the recording expires.
const REFUSED_PATIENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long creates that Recall answers with server errors go on, where it is not known when the recording expires.
const ERROR_PATIENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// This many wished languages are dropped. What the metadata names after that may use up its provider.
const MAX_REFUSED_LANGUAGES: usize = 10;

/// What is left of the chain.
struct TriesLeft {
    usable: u32,
    /// Providers whose options were refused.
    refused: u32,
    /// After the next one there is none.
    is_last: bool,
}

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
            Recording::Unknown if self.attempts == 0 && self.retry.is_none() && !self.is_said_to_have_failed() => {
                return Decision::Ignore(Reason::UnknownRecording);
            }
            Recording::Unknown | Recording::Done => {}
        }
        if !self.wants_attempt() {
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
        if self.skips() && self.retry.is_none() {
            if self.hold == Some(Hold::Skipped) {
                return Decision::Ignore(Reason::Skipped);
            }
            self.hold = Some(Hold::Skipped);
            return self.advanced(Next::Nothing, context);
        }
        if self.is_held(context.now) {
            return match self.hold {
                Some(Hold::Unread { retry_at, claim: Some(_), .. }) => Decision::Busy { retry_at },
                // What comes next is in the row, and its time comes without another event.
                Some(
                    Hold::Unread { .. }
                    | Hold::Wait { .. }
                    | Hold::AllRefused { .. }
                    | Hold::LimitReached { .. }
                    | Hold::Skipped,
                )
                | None => Decision::Ignore(Reason::AlreadyRequested),
            };
        }
        if self.is_hopeless(context.now) {
            (self.hold, self.retry) = (None, None);
            return self.advanced(Next::Nothing, context);
        }
        // A person may ask for a transcript unread, but not while Recall is asked whether the recording has failed.
        if self.overrides.is_none() && (self.retry.is_none() || self.is_said_to_have_failed()) {
            return self.read(context);
        }
        if matches!(self.hold, Some(Hold::AllRefused { .. })) {
            self.transcripts.retain(|transcript| !transcript.is_refused());
        }
        let Some(provider) = self.next_provider(context) else {
            return Decision::Ignore(Reason::AlreadyEnded);
        };
        if self.transcript_count() < context.policy.max_transcripts {
            return self.start(provider, context);
        }
        self.make_room(context)
    }

    /// When the next attempt may start, if it waits for its time.
    pub(super) fn held_until(&self) -> Option<Timestamp> {
        match self.hold {
            Some(Hold::Wait { retry_at, .. } | Hold::Unread { retry_at, .. } | Hold::AllRefused { retry_at }) => {
                Some(retry_at)
            }
            Some(Hold::LimitReached { .. } | Hold::Skipped) | None => None,
        }
    }

    /// The next attempt must not start yet.
    fn is_held(&self, now: Timestamp) -> bool {
        self.held_until().is_some_and(|retry_at| now < retry_at)
    }

    /// What it was held for has not changed for so long, or the recording has expired: nothing more is tried. A refused
    /// key never ends a job: it waits until its recording expires.
    fn is_hopeless(&self, now: Timestamp) -> bool {
        let for_long = |since: Timestamp, patience| self.expires_at.is_none() && now.since(since) >= patience;
        let is_stuck = match self.hold {
            Some(Hold::Wait { .. } | Hold::Unread { .. }) => match self.hold.as_ref().and_then(Hold::cause) {
                Some((HoldCause::Errors | HoldCause::Full, _, since)) => for_long(since, ERROR_PATIENCE),
                Some((HoldCause::Operator | HoldCause::Unknown | HoldCause::Throttled, ..)) | None => false,
            },
            Some(Hold::LimitReached { .. } | Hold::Skipped) | None => false,
            Some(Hold::AllRefused { .. }) => self.refusals.is_some_and(|one| for_long(one.since, REFUSED_PATIENCE)),
        };
        is_stuck || (self.hold.is_some() && !self.is_parked() && self.has_expired(now))
    }

    /// The next attempt is decided on again, with all that is known by then.
    pub(super) fn start_soon(&mut self, context: Context<'_>) -> Next {
        self.hold = Some(Hold::Wait { retry_at: context.now, status: None, times: 0, since: context.now });
        Next::Act(Command::Wake)
    }

    /// After one of our attempts has failed: when the next one starts, if there is to be one.
    pub(super) fn after_failure(&mut self, context: Context<'_>) -> Next {
        self.failed_at = Some(context.now);
        self.after_refusal(context)
    }

    /// The same after a refusal, which was not paid for.
    pub(super) fn after_refusal(&mut self, context: Context<'_>) -> Next {
        let over = self.transcripts.iter().any(Transcript::stands)
            || self.skips()
            || matches!(self.recording, Recording::Deleted | Recording::Failed { .. });
        let left = self.tries_left(context);
        let retry_at = match left.usable {
            _ if over => return Next::Nothing,
            // Nothing was paid for the refusals, so they end nothing for good.
            0 if left.refused > 0 => return self.wait_for_other_options(context),
            0 => return Next::Nothing,
            _ => {
                let failures = self.transcripts.iter().filter(|transcript| transcript.attempt.is_some()).count();
                let times = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
                let wait = doubled(RETRY_WAIT, times, RETRY_WAIT_MAX);
                let outage = self.failed_at.map(|at| LAST_TRY_WAIT.saturating_sub(context.now.since(at)));
                let wait = outage.filter(|_| left.is_last).map_or(wait, |outage| wait.max(outage));
                let retry_at = self.chosen(wait, context.now);
                self.hold = Some(Hold::Wait { retry_at, status: None, times, since: context.now });
                retry_at
            }
        };
        Next::Wait { retry_at: retry_at }
    }

    /// Every provider that had tries left was refused. An operator can fix the options, so the chain starts again later.
    fn wait_for_other_options(&mut self, context: Context<'_>) -> Next {
        let refusals = self.refusals.get_or_insert(Refusals { since: context.now, rounds: 0 });
        let wait = doubled(REFUSED_WAIT, refusals.rounds, REFUSED_WAIT_MAX);
        refusals.rounds += 1;
        let retry_at = self.chosen(wait, context.now);
        self.hold = Some(Hold::AllRefused { retry_at });
        Next::Wait { retry_at: retry_at }
    }

    /// The chain, with the provider first that a person asked for, or else the one that the metadata names.
    fn chain<'a>(&'a self, context: Context<'a>) -> impl Iterator<Item = &'a str> {
        let chain = context.policy.providers.iter().map(String::as_str);
        let asked = self.retry.as_ref().and_then(|retry| retry.provider.as_deref());
        let wished = asked.or_else(|| self.overrides.as_ref().and_then(|overrides| overrides.provider.as_deref()));
        let wished = chain.clone().find(|name| wished == Some(*name));
        wished.into_iter().chain(chain.filter(move |name| wished != Some(*name)))
    }

    /// The tries that a provider was used for; `None` if its options were refused.
    fn tries_of(&self, name: &str, context: Context<'_>) -> Option<u32> {
        let first = self.chain(context).next();
        let mut of = self.transcripts.iter().filter(|transcript| {
            transcript.attempt.is_some() && transcript.provider.as_deref().or(first) == Some(name)
        });
        of.try_fold(0_u32, |tries, transcript| (!transcript.is_refused()).then(|| tries.saturating_add(1)))
    }

    fn tries_left(&self, context: Context<'_>) -> TriesLeft {
        let policy = context.policy;
        let mut left = TriesLeft { usable: 0, refused: 0, is_last: false };
        for name in self.chain(context) {
            match self.tries_of(name, context) {
                Some(tries) => left.usable += policy.tries_per_provider.saturating_sub(tries),
                None => left.refused += 1,
            }
        }
        let room = policy.max_transcripts.saturating_sub(self.transcript_count());
        left.is_last = left.usable == 1 || (policy.on_limit == OnLimit::Stop && room == 1);
        left
    }

    /// The first provider of the chain that has tries left. A person may ask for more tries than the policy has.
    fn next_provider(&self, context: Context<'_>) -> Option<String> {
        let has_tries =
            |name: &&str| self.tries_of(name, context).is_some_and(|tries| tries < context.policy.tries_per_provider);
        let next = self.chain(context).find(has_tries);
        let asked = self.retry.as_ref().and_then(|retry| retry.provider.as_deref());
        let beyond = || self.retry.as_ref().and_then(|_| self.chain(context).next());
        asked.or(next).or_else(beyond).map(str::to_owned)
    }

    /// Claims a new attempt. The save makes the intent durable; the call follows it.
    fn start(mut self, provider: String, context: Context<'_>) -> Decision {
        let claim = self.next_claim();
        self.attempts += 1;
        if !matches!(self.hold, Some(Hold::Wait { status: Some(_), .. })) {
            self.hold = None;
        }
        let attempt = self.attempts;
        let creating = Creating {
            first_call_at: context.now,
            last_call_at: context.lease_until,
            calls: 1,
            errors: 0,
            conflicts: 0,
            retry_at: context.lease_until,
            claim: Some(claim),
            refusal: None,
            inconclusive_since: None,
            retry: self.retry.take(),
        };
        let creating = State::Creating(creating);
        self.transcripts.push(Transcript::new(Some(attempt), Some(provider.clone()), creating));
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
        if context.now < creating.retry_at {
            return match creating.claim {
                Some(_) => Decision::Busy { retry_at: creating.retry_at },
                // The call is made again at its time, without another event.
                None => Decision::Ignore(Reason::AlreadyRequested),
            };
        }
        let unknown =
            context.now.since(creating.first_call_at) >= KEY_REUSE || creating.errors >= ERRORS_BEFORE_LOOK_UP;
        let settled = creating.last_call_at.plus(LIST_SETTLE);
        if unknown && creating.refusal.is_none() && context.now < settled {
            (creating.retry_at, creating.claim) = (settled, None);
            return self.advanced(Next::Wait { retry_at: settled }, context);
        }
        creating.claim = Some(claim);
        creating.retry_at = context.lease_until;
        if unknown || creating.refusal.is_some() {
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
        self.requested_language.clone_from(&language);
        self.advanced(Next::Act(Command::Create { attempt, provider, language, claim }), context)
    }

    /// The wished language is a word of one provider's, so it goes to the first of the chain only.
    fn language(&self, provider: &str, context: Context<'_>) -> Option<String> {
        let first = self.chain(context).next() == Some(provider);
        let wished = self.overrides.as_ref().and_then(|overrides| overrides.language.clone());
        wished.filter(|language| first && !self.refused_languages.contains(language))
    }

    /// The attempt that carried a wished language was refused: it is tried without, for nonsense in metadata must not
    /// cost the transcript. Whether there was one, and for the first time.
    pub(super) fn drop_language(&mut self) -> bool {
        let room = self.refused_languages.len() < MAX_REFUSED_LANGUAGES;
        let asked =
            self.requested_language.take().filter(|language| room && !self.refused_languages.contains(language));
        self.refused_languages.extend(asked.clone());
        asked.is_some()
    }
}

impl Transcript {
    /// Recall refused our attempt, and nothing was paid.
    fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused { .. })
    }
}
