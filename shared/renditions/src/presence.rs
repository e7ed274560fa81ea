//! Finds out how long a person was there, from joins and leaves.

use job::time::Timestamp;

use crate::RecordingTimes;

/// The number of joins and leaves that are kept for one participant.
const MAX_MOVES: usize = 1_000;

/// The joins and leaves of one participant.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moves {
    /// The known times, each with whether the participant joined, in the order of the file.
    known: Vec<(Timestamp, bool)>,
    first: Option<(Timestamp, bool)>,
    last: Option<(Timestamp, bool)>,
    first_join: Option<Timestamp>,
    last_leave: Option<Timestamp>,
    /// Whether the participant joined or left at an unknown time.
    unknown_join: bool,
    unknown_leave: bool,
    /// Whether some known times are not kept.
    incomplete: bool,
}

/// When a person was there. What is not known is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Presence {
    /// When the person first joined.
    pub(crate) joined_at: Option<Timestamp>,
    /// When the person last left.
    pub(crate) left_at: Option<Timestamp>,
    /// How long the person was there during the recording, with all of the person's devices and ids together.
    pub(crate) present_ms: Option<u64>,
}

impl Presence {
    /// Combines what two sources say about the same person.
    pub(crate) fn combined(self, other: Self) -> Self {
        Self {
            joined_at: self.joined_at.into_iter().chain(other.joined_at).min(),
            left_at: self.left_at.max(other.left_at),
            present_ms: self.present_ms.max(other.present_ms),
        }
    }
}

/// An interval of time. Its start is unknown if the recording's start is, and so is its end.
type Stay = (Option<Timestamp>, Option<Timestamp>);

impl Moves {
    /// Adds a join or a leave. Returns whether it needs room in memory, which it does not have without `has_room`.
    pub(crate) fn add(&mut self, at: Option<Timestamp>, joined: bool, has_room: bool) -> bool {
        let Some(at) = at else {
            self.unknown_join |= joined;
            self.unknown_leave |= !joined;
            return false;
        };
        if self.first.is_none_or(|(first, _)| at < first) {
            self.first = Some((at, joined));
        }
        if self.last.is_none_or(|(last, _)| at >= last) {
            self.last = Some((at, joined));
        }
        if joined {
            self.first_join = Some(self.first_join.map_or(at, |first| first.min(at)));
        } else {
            self.last_leave = self.last_leave.max(Some(at));
        }
        let is_kept = has_room && self.known.len() < MAX_MOVES;
        if is_kept {
            self.known.push((at, joined));
        }
        self.incomplete |= !is_kept;
        is_kept
    }

    /// The number of kept times.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Adds those of the same participant from elsewhere.
    pub(crate) fn extend(&mut self, other: Self) {
        self.known.extend(other.known);
        self.first = [self.first, other.first].into_iter().flatten().min_by_key(|(at, _)| *at);
        self.last = [self.last, other.last].into_iter().flatten().max_by_key(|(at, _)| *at);
        self.first_join = self.first_join.into_iter().chain(other.first_join).min();
        self.last_leave = self.last_leave.max(other.last_leave);
        self.unknown_join |= other.unknown_join;
        self.unknown_leave |= other.unknown_leave;
        self.incomplete |= other.incomplete;
    }

    /// Returns the intervals between joins and leaves. Who left without having joined was there from the start of the
    /// recording. Who joined and did not leave stayed to its end.
    fn stays(&self, recording: RecordingTimes) -> Vec<Stay> {
        let mut moves = self.known.clone();
        moves.sort_by_key(|(at, _)| *at);
        let (mut stays, mut joined_at): (Vec<Stay>, _) = (Vec::new(), None);
        for (at, joined) in moves {
            if joined {
                joined_at.get_or_insert(at);
            } else if let Some(joined_at) = joined_at.take() {
                stays.push((Some(joined_at), Some(at)));
            } else if stays.is_empty() {
                stays.push((recording.started_at, Some(at)));
            }
        }
        stays.extend(joined_at.map(|joined_at| (Some(joined_at), recording.completed_at)));
        stays
    }

    /// Returns whether the last known move is a join.
    fn stayed(&self) -> bool {
        self.last.is_some_and(|(_, joined)| joined)
    }

    /// Returns whether the first known move is a leave.
    fn was_there_before(&self) -> bool {
        self.first.is_some_and(|(_, joined)| !joined)
    }
}

/// Combines the joins and leaves of one person's participants.
pub(crate) fn presence(moves: &[Moves], recording: RecordingTimes) -> Presence {
    let any = |is: fn(&Moves) -> bool| moves.iter().any(is);
    let joined_at = moves.iter().filter_map(|moves| moves.first_join).min();
    let left_at = if any(|moves| moves.stayed() && !moves.unknown_leave) {
        recording.completed_at
    } else {
        moves.iter().filter_map(|moves| moves.last_leave).max().filter(|_| !any(|moves| moves.unknown_leave))
    };
    let is_certain =
        !any(|moves| moves.unknown_join || moves.unknown_leave || moves.incomplete || moves.known.is_empty());
    Presence {
        joined_at: joined_at.filter(|_| !any(|moves| moves.unknown_join || moves.was_there_before())),
        left_at,
        present_ms: Some(moves).filter(|moves| is_certain && !moves.is_empty()).and_then(|moves| {
            let stays = moves.iter().flat_map(|moves| moves.stays(recording));
            total_ms(stays.collect(), recording)
        }),
    }
}

/// Returns the length of the union of the intervals within the recording, or none if an end is unknown.
fn total_ms(stays: Vec<Stay>, recording: RecordingTimes) -> Option<u64> {
    let RecordingTimes { started_at, completed_at } = recording;
    let within = |at: Timestamp| {
        let at = started_at.map_or(at, |started_at| at.max(started_at));
        completed_at.map_or(at, |completed_at| at.min(completed_at))
    };
    let stays: Option<Vec<_>> = stays.into_iter().map(|(from, to)| Some((within(from?), within(to?)))).collect();
    let mut stays = stays?;
    stays.sort_unstable();
    let (mut total_ms, mut counted_to) = (0, Timestamp::from_millis(i64::MIN));
    for (from, to) in stays {
        total_ms += to.since(from.max(counted_to)).as_millis();
        counted_to = counted_to.max(to);
    }
    u64::try_from(total_ms).ok()
}

#[cfg(test)]
mod tests;
