//! Recall, as far as payment goes: its keys, the calls in flight, and the transcripts that were made.

use std::time::Duration;

use super::Bounds;
use crate::{CreateAnswer, ListedTranscript, ids::TranscriptId, time::Timestamp};

/// How one call of create_transcript ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Fine,
    RequestLost,
    AnswerLost,
    /// 503 from a proxy in front of Recall: the key is not looked at.
    Unavailable,
    /// 500 instead of the effect, and the key remembers it.
    Error,
    /// The effect and then 500, and the key remembers that.
    ErrorAfterEffect,
    /// 429, 402, 400 and 404, before the key is looked at.
    Throttled,
    Unpaid,
    Invalid,
    Unknown,
    /// The call arrives after its caller is gone.
    Late,
    /// The call arrives at once, and takes longer than its caller waits.
    Slow,
}

/// The faults of a Recall that answers its calls at once.
pub(super) const WRONG: [Call; 9] = [
    Call::RequestLost,
    Call::AnswerLost,
    Call::Unavailable,
    Call::Error,
    Call::ErrorAfterEffect,
    Call::Throttled,
    Call::Unpaid,
    Call::Invalid,
    Call::Unknown,
];

impl Call {
    /// With a key that Recall knows, this call is equal to another one in this list.
    pub(super) fn needs_new_key(self) -> bool {
        match self {
            Self::AnswerLost | Self::Error | Self::ErrorAfterEffect | Self::Late | Self::Slow => true,
            Self::Fine
            | Self::RequestLost
            | Self::Unavailable
            | Self::Throttled
            | Self::Unpaid
            | Self::Invalid
            | Self::Unknown => false,
        }
    }
}

/// A transcript at Recall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Made {
    pub(super) id: TranscriptId,
    pub(super) attempt: u32,
    pub(super) at: Timestamp,
    pub(super) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Done,
    Failed,
}

/// What Recall remembers about a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) attempt: u32,
    /// When its call ended, and how; `None` while the call is in progress.
    pub(super) ended: Option<(Timestamp, CreateAnswer)>,
}

/// A call whose caller is gone and that has not taken effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flight {
    pub(super) attempt: u32,
    /// The call has arrived, and its key is known.
    pub(super) arrived: bool,
    /// The call takes effect by this time.
    pub(super) latest: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recall {
    pub(super) bounds: Bounds,
    /// Keys reach Recall.
    pub(super) keyed: bool,
    pub(super) made: Vec<Made>,
    pub(super) keys: Vec<Key>,
    pub(super) flights: Vec<Flight>,
}

impl Recall {
    pub(super) fn new(bounds: Bounds, keyed: bool) -> Self {
        Self { bounds, keyed, made: Vec::new(), keys: Vec::new(), flights: Vec::new() }
    }

    pub(super) fn create(&mut self, now: Timestamp, attempt: u32, call: Call) -> CreateAnswer {
        let latest = now.plus(self.bounds.flight);
        match call {
            Call::RequestLost => return CreateAnswer::Lost,
            Call::Unavailable => return CreateAnswer::ServerError { after: Duration::ZERO },
            Call::Throttled => return CreateAnswer::Throttled { after: Duration::from_secs(30) },
            Call::Unpaid => return CreateAnswer::Operator { status: 402 },
            Call::Invalid => return CreateAnswer::Refused { status: 400, code: None },
            Call::Unknown => return CreateAnswer::Refused { status: 404, code: None },
            Call::Late => {
                self.flights.push(Flight { attempt, arrived: false, latest });
                return CreateAnswer::Lost;
            }
            Call::Fine | Call::AnswerLost | Call::Error | Call::ErrorAfterEffect | Call::Slow => {}
        }
        if let Some(answer) = self.replayed(now, attempt) {
            return if call == Call::AnswerLost { CreateAnswer::Lost } else { answer };
        }
        if call == Call::Slow {
            self.flights.push(Flight { attempt, arrived: true, latest });
            self.remember(attempt, None);
            return CreateAnswer::Lost;
        }
        let made = (call != Call::Error).then(|| self.make(now, attempt));
        let answer = match made {
            Some(transcript_id) if call != Call::ErrorAfterEffect => CreateAnswer::Created { transcript_id },
            Some(_) | None => CreateAnswer::ServerError { after: Duration::ZERO },
        };
        self.remember(attempt, Some((now, answer.clone())));
        if call == Call::AnswerLost { CreateAnswer::Lost } else { answer }
    }

    /// A call whose caller is gone takes effect, unless another one came first with its key.
    pub(super) fn land(&mut self, now: Timestamp, index: usize) {
        let Flight { attempt, arrived, .. } = self.flights.remove(index);
        if arrived || self.replayed(now, attempt).is_none() {
            let transcript_id = self.make(now, attempt);
            self.remember(attempt, Some((now, CreateAnswer::Created { transcript_id })));
        }
    }

    /// A list that is up to date, or the oldest possible one.
    pub(super) fn listed(&self, now: Timestamp, lags: bool) -> Vec<ListedTranscript> {
        let there = self.made.iter().filter(|made| !lags || made.at.plus(self.bounds.lag) <= now);
        let listed = |made: &Made| ListedTranscript {
            transcript_id: made.id,
            attempt: Some(made.attempt),
            ended: made.end != End::Open,
            failed: made.end == End::Failed,
            other_deployment: false,
        };
        there.map(listed).collect()
    }

    /// The key is known, and will still be known when a call that leaves now arrives.
    pub(super) fn knows(&self, now: Timestamp, attempt: u32) -> bool {
        self.replayed(now.plus(self.bounds.flight), attempt).is_some()
    }

    fn replayed(&self, now: Timestamp, attempt: u32) -> Option<CreateAnswer> {
        match &self.keys.iter().find(|key| self.keyed && key.attempt == attempt)?.ended {
            None => Some(CreateAnswer::InProgress),
            Some((at, answer)) => (now < at.plus(self.bounds.key_life)).then(|| answer.clone()),
        }
    }

    fn make(&mut self, now: Timestamp, attempt: u32) -> TranscriptId {
        let id = TranscriptId::from_u128(self.made.len() as u128 + 1);
        self.made.push(Made { id, attempt, at: now, end: End::Open });
        id
    }

    fn remember(&mut self, attempt: u32, ended: Option<(Timestamp, CreateAnswer)>) {
        self.keys.retain(|key| key.attempt != attempt);
        self.keys.push(Key { attempt, ended });
    }
}
