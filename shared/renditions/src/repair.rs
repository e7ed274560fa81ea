//! Decides which times in the file cannot be right.
//!
//! Recall passes on the times that a speech recognizer measured, and some of them are wrong: a word is placed a minute
//! away from its sentence or begins after its own end, or the times of a part jump back. The order of the words within
//! one entry is known, because it is the order of the file. So a time never moves a word. Each time is compared with
//! the times around it. A time that does not fit is treated as unknown and is filled in from its neighbors (see
//! [`super::times`]):
//!
//! 1. A time that is later than the end of the recording by more than [`END_TOLERANCE_MS`] is unknown.
//! 2. Recall may also give the time of day. It counts if the relative time differs from it by more than
//!    [`CLOCK_TOLERANCE_MS`], measured from the start of both clocks: then the relative times restarted at zero, as
//!    after a break. A time of day outside of the recording belongs to another clock and does not count.
//! 3. A word that begins after its own end has one wrong time: the one that does not fit between its neighbors.
//! 4. A word that lasts longer than [`MAX_WORD_MS`] has no known end. The same is true of a phrase of captions that
//!    lasts longer than [`MAX_PHRASE_MS`].
//! 5. If the file lists its entries in time order, no word of an entry is earlier than the entry before it.
//! 6. A group of at most [`MAX_OUTLIERS`] words is wrong if it is at least [`OUTLIER_GAP_MS`] away from the words on
//!    both sides, and those follow each other closely.
//! 7. Of the remaining times, the longest run that never decreases is kept. That is the smallest number of wrong
//!    measurements that explains the entry. This rule removes single words as well as whole tails.
//! 8. The first and the last word of an entry have a neighbor on one side only. In a text with punctuation, such a word
//!    is wrong if it is isolated in the middle of a sentence and a neighboring entry begins in between. The first word
//!    must be at least [`OUTLIER_GAP_MS`] before the others, because the file lists such an entry later. The last word
//!    must be at least [`LONE_WORD_GAP_MS`] after them, because people may continue after someone else has spoken. In
//!    the first entry, a zero is not a measurement. A phrase is never isolated.
//!
//! Times that decrease by at most [`JITTER_MS`] are not wrong, because recognizers let words overlap. The first two
//! rules need no neighbors, so they are applied while the file is read.

/// The recording does not stop at the same moment everywhere, so times may be this much later than its end.
pub(crate) const END_TOLERANCE_MS: u32 = 60_000;
/// Clocks agree better than this, and breaks are longer than this.
pub(crate) const CLOCK_TOLERANCE_MS: u32 = 60_000;
/// How much words overlap in correct transcripts. It is longer than almost any word.
const JITTER_MS: u32 = 500;
/// No word takes longer, and hardly any laughter does.
const MAX_WORD_MS: u32 = 30_000;
/// Captions hold a phrase in one entry, and may show it until the next one comes.
const MAX_PHRASE_MS: u32 = 120_000;
/// People who think in the middle of a sentence continue sooner than this, and recognizers begin a new entry sooner.
const LONE_WORD_GAP_MS: u32 = 10_000;
/// The maximum duration of one word, as an average over several words.
const AVERAGE_WORD_MS: u32 = 700;
/// A larger group of words is a part of the meeting, wherever it belongs.
const MAX_OUTLIERS: usize = 8;
/// A word this far away from the others would be a separate turn.
const OUTLIER_GAP_MS: u32 = 3_000;

/// The times of a word in the file, in milliseconds from the start of the recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MeasuredWord {
    pub(crate) start: Option<u32>,
    pub(crate) end: Option<u32>,
    pub(crate) ends_sentence: bool,
    /// Whether the entry of `words[]` holds several words.
    pub(crate) is_phrase: bool,
}

/// The starts of the neighboring entries, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Neighbors {
    pub(crate) before: Option<u32>,
    pub(crate) after: Option<u32>,
    /// Whether `before` belongs to the settled part of the same entry. Then nothing can be earlier than it.
    pub(crate) is_later_part: bool,
}

impl MeasuredWord {
    /// The time by which a word is compared with others.
    pub(crate) fn time(&self) -> Option<u32> {
        self.start.or(self.end)
    }

    fn max_ms(&self) -> u32 {
        if self.is_phrase { MAX_PHRASE_MS } else { MAX_WORD_MS }
    }

    fn clear(&mut self) {
        (self.start, self.end) = (None, None);
    }
}

/// Clears every time that cannot be right.
pub(crate) fn repair(words: &mut [MeasuredWord], neighbors: Neighbors) {
    // Nearly all entries are in order, and need only this one check.
    let is_plausible = is_in_order(words) && !(neighbors.is_later_part && starts_early(words, neighbors));
    if !is_plausible {
        fix_reversed_and_long(words, neighbors);
        clear_before_previous_entry(words, neighbors);
        clear_outliers(words);
        clear_out_of_order(words);
    }
    clear_lone_edges(words, neighbors);
}

fn is_in_order(words: &[MeasuredWord]) -> bool {
    let mut latest = 0;
    words.iter().all(|word| {
        let start = word.start.or(word.end).unwrap_or(latest);
        let end = word.end.unwrap_or(start);
        latest = latest.max(start);
        start + JITTER_MS >= latest && end + JITTER_MS >= start && end <= start.saturating_add(word.max_ms())
    })
}

fn starts_early(words: &[MeasuredWord], neighbors: Neighbors) -> bool {
    let first = words.iter().find_map(MeasuredWord::time);
    first.zip(neighbors.before).is_some_and(|(first, before)| first + JITTER_MS < before)
}

/// Rules 3 and 4: clears one time of a word that begins after its own end, and the end of a word that is too long.
fn fix_reversed_and_long(words: &mut [MeasuredWord], neighbors: Neighbors) {
    for at in 0..words.len() {
        let Some(measured @ MeasuredWord { start: Some(start), end: Some(end), .. }) = words.get(at).copied() else {
            continue;
        };
        let wrong = if start > end.saturating_add(JITTER_MS) {
            let (earlier, rest) = words.split_at(at);
            let after = rest.iter().skip(1).find_map(MeasuredWord::time).or(neighbors.after);
            let before = earlier.iter().rev().find_map(|word| word.start.max(word.end)).or(neighbors.before);
            let fits = |time: u32| {
                before.is_none_or(|before| time + JITTER_MS >= before)
                    && after.is_none_or(|after| time <= after.saturating_add(JITTER_MS))
            };
            (fits(end) && !fits(start), !fits(end) || fits(start))
        } else {
            (false, end.saturating_sub(start) > measured.max_ms())
        };
        if let Some(word) = words.get_mut(at) {
            word.start = word.start.filter(|_| !wrong.0);
            word.end = word.end.filter(|_| !wrong.1);
        }
    }
}

/// Rule 5: clears times before the start of the previous entry.
fn clear_before_previous_entry(words: &mut [MeasuredWord], neighbors: Neighbors) {
    let first = words.iter().find_map(MeasuredWord::time);
    let (Some(before), Some(first)) = (neighbors.before, first) else { return };
    if neighbors.is_later_part || first >= before && neighbors.after.is_none_or(|after| first <= after) {
        let early = |word: &&mut MeasuredWord| word.time().is_some_and(|time| time + JITTER_MS < before);
        words.iter_mut().filter(early).for_each(MeasuredWord::clear);
    }
}

/// Rule 6: clears a few distant words between two words that follow each other closely.
fn clear_outliers(words: &mut [MeasuredWord]) {
    let (mut at, mut last) = (0, None);
    while let Some(word) = words.get(at) {
        let Some(time) = word.time() else {
            at += 1;
            continue;
        };
        let back = |last: u32| {
            let ahead = words.get(at..)?.iter().take(MAX_OUTLIERS + 1).enumerate().skip(1);
            let mut times = ahead.filter_map(|(ahead, word)| Some((at + ahead, word.time()?)));
            times.find(|(until, next)| {
                let room_ms = OUTLIER_GAP_MS + AVERAGE_WORD_MS * (until - at) as u32;
                next + JITTER_MS >= last && *next <= last.saturating_add(room_ms)
            })
        };
        let found = last.filter(|last| time.abs_diff(*last) > OUTLIER_GAP_MS).and_then(back);
        let far = |(until, next): &(usize, u32)| {
            let between = words.get(at..*until).unwrap_or_default().iter().filter_map(MeasuredWord::time);
            let last = last.unwrap_or_default();
            between.clone().all(|time| time + OUTLIER_GAP_MS < last || time > next.saturating_add(OUTLIER_GAP_MS))
        };
        match found.filter(far) {
            Some((until, _)) => {
                words.iter_mut().take(until).skip(at).for_each(MeasuredWord::clear);
                at = until;
            }
            None => {
                last = Some(time);
                at += 1;
            }
        }
    }
}

/// Rule 7: keeps a longest run of times that never decrease, and the times that fit it within the jitter.
fn clear_out_of_order(words: &mut [MeasuredWord]) {
    let kept = longest_run(words);
    let (mut kept, mut latest) = (kept.into_iter().peekable(), 0);
    for at in 0..words.len() {
        if kept.next_if_eq(&at).is_some() {
            latest = words.get(at).and_then(MeasuredWord::time).unwrap_or(latest);
            continue;
        }
        let next = kept.peek().and_then(|at| words.get(*at)).and_then(MeasuredWord::time);
        let Some(word) = words.get_mut(at) else { continue };
        let fits =
            |time: u32| time + JITTER_MS >= latest && next.is_none_or(|next| time <= next.saturating_add(JITTER_MS));
        if !word.time().is_some_and(fits) {
            word.clear();
        }
    }
}

/// Returns the indices of a longest run of times that never decrease. Of several runs, it takes the one that ends
/// earliest, because a wrong time is more often far ahead than far behind. Of those, it takes the one in which each
/// time is closest to the next.
fn longest_run(words: &[MeasuredWord]) -> Vec<usize> {
    let time = |at: usize| words.get(at).and_then(MeasuredWord::time).unwrap_or_default();
    // For each length, the last index of the run of that length that ends earliest.
    let mut ends: Vec<usize> = Vec::new();
    // For each index, the last index of the run before it, and the index that it replaced in `ends`, whose time is
    // later.
    let mut places: Vec<(Option<usize>, Option<usize>)> = Vec::with_capacity(words.len());
    for (at, word) in words.iter().enumerate() {
        let Some(now) = word.time() else {
            places.push((None, None));
            continue;
        };
        let length = ends.partition_point(|end| time(*end) <= now);
        let before = length.checked_sub(1).and_then(|shorter| ends.get(shorter)).copied();
        let replaced = ends.get(length).copied();
        places.push((before, replaced));
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let nearest_before = |at: &usize| {
        let (before, _) = *places.get(*at)?;
        let later = |place: &usize| places.get(*place)?.1.filter(|replaced| time(*replaced) <= time(*at));
        std::iter::successors(before, later).last()
    };
    let mut run: Vec<usize> = std::iter::successors(ends.last().copied(), nearest_before).collect();
    run.reverse();
    run
}

/// Rule 8: clears the time of a first or last word that is isolated.
fn clear_lone_edges(words: &mut [MeasuredWord], Neighbors { before, after, .. }: Neighbors) {
    let may_be_wrong = |words: &[MeasuredWord], at: usize, sentence_continues: bool| {
        sentence_continues
            && words.get(at).is_some_and(|word| !word.is_phrase)
            && words.iter().any(|word| word.ends_sentence)
    };
    let mut known = words.iter().enumerate().filter_map(|(at, word)| Some((at, word.time()?)));
    if let (Some((at, time)), Some((_, next))) = (known.next(), known.next()) {
        let first = words.get(at).copied().unwrap_or_default();
        let apart_ms = next.saturating_sub(first.end.max(first.start).unwrap_or(time));
        let beyond = before.map_or(time == 0, |before| time < before && before <= next);
        if beyond && apart_ms >= OUTLIER_GAP_MS && may_be_wrong(words, at, !first.ends_sentence) {
            words.iter_mut().skip(at).take(1).for_each(MeasuredWord::clear);
        }
    }
    let mut known = words.iter().enumerate().rev().filter_map(|(at, word)| Some((at, word.time()?)));
    if let (Some((at, time)), Some((previous, _)), Some(after)) = (known.next(), known.next(), after) {
        let previous = words.get(previous).and_then(|word| word.start.max(word.end)).unwrap_or_default();
        let beyond = time > after && after.saturating_add(JITTER_MS) >= previous;
        let continues = at.checked_sub(1).and_then(|at| words.get(at)).is_some_and(|word| !word.ends_sentence);
        if beyond && time.saturating_sub(previous) >= LONE_WORD_GAP_MS && may_be_wrong(words, at, continues) {
            words.iter_mut().skip(at).take(1).for_each(MeasuredWord::clear);
        }
    }
}

#[cfg(test)]
mod tests;
