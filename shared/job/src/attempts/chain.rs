//! The chain of providers: which one is next, when, and with which language.

use crate::{
    Context, Hold, Job, Next, OnLimit, Recording, Refusals, Transcript,
    waits::{ALL_REFUSED_BACKOFF, LAST_TRY_WAIT, NEXT_TRY_BACKOFF},
};

/// This many languages from the metadata may be refused without using up the provider. After that, a refused language
/// counts as a refusal of the provider.
const MAX_REFUSED_LANGUAGES: usize = 10;

/// What is left of the chain of providers.
struct TriesLeft {
    /// Tries that are left with providers that were not refused.
    usable_tries: u32,
    /// Providers that were refused.
    refused_providers: u32,
    /// No other try follows the next one.
    is_last: bool,
}

impl Job {
    /// One of our paid attempts has failed: schedules the next one, if there is to be one.
    pub(crate) fn schedule_after_failure(&mut self, context: Context<'_>) -> Next {
        self.failed_at = Some(context.now);
        self.schedule_next_try(context)
    }

    /// One of our attempts has failed or was refused: schedules the next one, if there is to be one.
    pub(super) fn schedule_next_try(&mut self, context: Context<'_>) -> Next {
        let is_over = self.transcripts.iter().any(Transcript::blocks_new_attempt)
            || self.is_skip_requested()
            || matches!(self.recording, Recording::Deleted | Recording::Failed { .. });
        if is_over {
            return Next::Nothing;
        }
        let left = self.tries_left(context);
        match left.usable_tries {
            // Refusals cost nothing, so the chain starts again until `is_hopeless` says otherwise.
            0 if left.refused_providers > 0 => self.restart_chain_later(context),
            0 => Next::Nothing,
            _ => {
                let ours = self.transcripts.iter().filter(|transcript| transcript.attempt.is_some()).count();
                let times = u32::try_from(ours.saturating_sub(1)).unwrap_or(u32::MAX);
                let wait = NEXT_TRY_BACKOFF.wait(times);
                let until_last_try = self.failed_at.map(|at| LAST_TRY_WAIT.saturating_sub(context.now.since(at)));
                let wait = until_last_try.filter(|_| left.is_last).map_or(wait, |least| wait.max(least));
                let retry_at = self.wait_until(wait, context.now);
                self.hold = Some(Hold::Wait { retry_at, status: None, times, since: context.now });
                Next::Wait { retry_at }
            }
        }
    }

    /// Every provider that had tries left was refused. The chain starts again later, because an operator may have fixed
    /// the options by then.
    fn restart_chain_later(&mut self, context: Context<'_>) -> Next {
        let refusals = self.refusals.get_or_insert(Refusals { since: context.now, rounds: 0 });
        let wait = ALL_REFUSED_BACKOFF.wait(refusals.rounds);
        refusals.rounds += 1;
        let retry_at = self.wait_until(wait, context.now);
        self.hold = Some(Hold::AllRefused { retry_at });
        Next::Wait { retry_at }
    }

    /// Returns the chain. The provider that a person asked for comes first, or else the one that the metadata names.
    fn provider_chain<'a>(&'a self, context: Context<'a>) -> impl Iterator<Item = &'a str> {
        let chain = context.policy.providers.iter().map(String::as_str);
        let requested = self.retry.as_ref().and_then(|retry| retry.provider.as_deref());
        let preferred =
            requested.or_else(|| self.overrides.as_ref().and_then(|overrides| overrides.provider.as_deref()));
        let preferred = chain.clone().find(|name| preferred == Some(*name));
        preferred.into_iter().chain(chain.filter(move |name| preferred != Some(*name)))
    }

    /// Returns the first provider of the chain.
    pub(super) fn first_provider(&self, context: Context<'_>) -> Option<String> {
        self.provider_chain(context).next().map(str::to_owned)
    }

    /// Returns how many of our attempts went to a provider; `None` if one of them was refused.
    fn tries_of(&self, name: &str, context: Context<'_>) -> Option<u32> {
        let first = self.provider_chain(context).next();
        let mut attempts = self.transcripts.iter().filter(|transcript| {
            // An attempt that is known only from an event or a list has no provider. It counts for the first one.
            transcript.attempt.is_some() && transcript.provider.as_deref().or(first) == Some(name)
        });
        attempts.try_fold(0_u32, |tries, transcript| (!transcript.is_refused()).then(|| tries.saturating_add(1)))
    }

    fn tries_left(&self, context: Context<'_>) -> TriesLeft {
        let policy = context.policy;
        let mut left = TriesLeft { usable_tries: 0, refused_providers: 0, is_last: false };
        for name in self.provider_chain(context) {
            match self.tries_of(name, context) {
                Some(tries) => left.usable_tries += policy.tries_per_provider.saturating_sub(tries),
                None => left.refused_providers += 1,
            }
        }
        let room = policy.max_transcripts.saturating_sub(self.transcript_count());
        // If nothing may be deleted to make room, the last free slot is the last try as well.
        left.is_last = left.usable_tries == 1 || (policy.on_limit == OnLimit::Stop && room == 1);
        left
    }

    /// Returns the first provider of the chain that has tries left. A person may request more tries than the policy
    /// allows.
    pub(super) fn next_provider(&self, context: Context<'_>) -> Option<String> {
        let has_tries =
            |name: &&str| self.tries_of(name, context).is_some_and(|tries| tries < context.policy.tries_per_provider);
        let next = self.provider_chain(context).find(has_tries);
        let requested = self.retry.as_ref().and_then(|retry| retry.provider.as_deref());
        let beyond_policy = || self.retry.as_ref().and_then(|_| self.provider_chain(context).next());
        requested.or(next).or_else(beyond_policy).map(str::to_owned)
    }

    /// Returns the language from the metadata. Each provider has its own names for languages, so only the first one of
    /// the chain gets it.
    pub(super) fn language(&self, provider: &str, context: Context<'_>) -> Option<String> {
        let is_first = self.provider_chain(context).next() == Some(provider);
        let language = self.overrides.as_ref().and_then(|overrides| overrides.language.clone());
        language.filter(|language| is_first && !self.refused_languages.contains(language))
    }

    /// Notes the language that the refused attempt asked for, if it asked for one, so that it is not requested again: a
    /// wrong value in metadata must not cost the transcript. Returns whether a language was noted.
    pub(super) fn drop_language(&mut self) -> bool {
        let has_room = self.refused_languages.len() < MAX_REFUSED_LANGUAGES;
        let refused = self.requested_language.take().filter(|one| has_room && !self.refused_languages.contains(one));
        self.refused_languages.extend(refused.clone());
        refused.is_some()
    }
}
