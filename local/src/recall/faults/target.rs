//! What a fault strikes, and how many times.

use std::fmt;

use uuid::Uuid;

/// What a fault strikes, and how many times.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    recording: Option<Uuid>,
    transcript: Option<Uuid>,
    times: usize,
    pub(super) left: usize,
    optional: bool,
}

impl Target {
    /// The next `times` calls about anything. [`usize::MAX`] means all of them, and at least one.
    pub fn next(times: usize) -> Self {
        Self { recording: None, transcript: None, times, left: times, optional: false }
    }

    /// Everything that belongs to this recording, until [`super::Faults::calm`], or as many times as [`Target::times`]
    /// says.
    pub fn recording(id: Uuid) -> Self {
        Self { recording: Some(id), ..Self::next(usize::MAX) }
    }

    /// This transcript, until [`super::Faults::calm`], or as many times as [`Target::times`] says.
    pub fn transcript(id: Uuid) -> Self {
        Self { transcript: Some(id), ..Self::next(usize::MAX) }
    }

    /// Limits how many times the fault strikes.
    pub fn times(self, times: usize) -> Self {
        Self { times, left: times, ..self }
    }

    /// Declares that the test is valid even if the fault strikes fewer times, for this reason.
    pub fn optional(self, reason: &str) -> Self {
        assert!(!reason.is_empty(), "say why the fault need not strike");
        Self { optional: true, ..self }
    }

    /// Returns whether the fault struck fewer times than requested.
    pub(super) fn is_unstruck(&self) -> bool {
        let missing = if self.times == usize::MAX { self.left == self.times } else { self.left > 0 };
        missing && !self.optional
    }

    pub(super) fn hits(&self, recording: Uuid, transcript: Uuid) -> bool {
        self.left > 0
            && self.recording.is_none_or(|id| id == recording)
            && self.transcript.is_none_or(|id| id == transcript)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.times - self.left, self.times) {
            (_, usize::MAX) => f.write_str("never, and it was to strike always"),
            (struck, times) => write!(f, "{struck} of {times} times"),
        }
    }
}

/// Describes the faults of this name that struck fewer times than requested.
pub(super) fn unstruck<T>(name: &str, rules: &[(Target, T)]) -> Vec<String> {
    let unstruck = rules.iter().map(|(target, _)| target).filter(|target| target.is_unstruck());
    unstruck.map(|target| format!("{name}: {target}")).collect()
}

/// Returns the first fault that strikes this recording, or this transcript of it, and counts the strike.
pub(super) fn strike<T: Clone>(rules: &mut [(Target, T)], recording: Uuid, transcript: Uuid) -> Option<T> {
    strike_if(rules, recording, transcript, |_| true)
}

/// Like [`strike`], but only for faults that are `wanted`.
pub(super) fn strike_if<T: Clone>(
    rules: &mut [(Target, T)],
    recording: Uuid,
    transcript: Uuid,
    wanted: impl Fn(&T) -> bool,
) -> Option<T> {
    let (target, fault) =
        rules.iter_mut().find(|(target, fault)| target.hits(recording, transcript) && wanted(fault))?;
    target.left -= 1;
    Some(fault.clone())
}
