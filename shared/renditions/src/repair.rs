//! When words were said: which of the stated times cannot be right.
//!
//! Recall passes on what a speech recognizer measured, and single measurements are wrong: a word is placed a minute
//! away from its sentence, or begins after its own end; the times of a part jump back. Within one entry of the file,
//! the order of the words is known: it is that of the file. So a time never moves a word. It is compared with the times
//! around it, and one that does not fit is taken for unknown and filled in from its neighbors (see [`super::times`]):
//!
//! 1. A time that is later than the end of the recording by more than [`END_TOLERANCE_MS`] is none.
//! 2. Where Recall gives the time of day, too, it counts if the relative time is off by more than [`CLOCK_TOLERANCE_MS`],
//!    seen from how the two began: then the relative times began again at zero, as after a break. A time of day that is
//!    outside of the recording is of another clock.
//! 3. A word that begins after its own end has one wrong time: the one that does not fit between the neighbors.
//! 4. A word that lasts longer than [`MAX_WORD_MS`] has no known end, nor has a phrase of captions that lasts longer
//!    than [`MAX_PHRASE_MS`].
//! 5. Where the file lists its entries in time order, no word of an entry is earlier than the entry before it.
//! 6. A few words, at most [`MAX_OUTLIERS`], are wrong if they are at least [`OUTLIER_GAP_MS`] away from the words on both sides,
//!    which follow each other closely.
//! 7. Of the remaining times, the most that are in order are kept: the longest run that never goes back. That is the
//!    smallest number of wrong measurements that explains the entry. It takes out single words, and whole tails.
//! 8. The first or the last word of an entry has a neighbor on one side only. In a text with punctuation it is wrong if it
//!    stands alone in the middle of a sentence, and a neighboring entry begins in between: at least [`OUTLIER_GAP_MS`] before
//!    the others, because the file lists such an entry later; or at least [`LONE_WORD_GAP_MS`] after them, because people may go
//!    on after somebody else. In the first entry, a zero is no measurement. A phrase is never alone.
//!
//! Up to [`JITTER_MS`], times that go back are no fault: recognizers let words overlap. The first two rules need no
//! neighbors, so they are applied while the file is read.

/// A recording is not stopped at the same moment everywhere.
pub(crate) const END_TOLERANCE_MS: u32 = 60_000;
/// Clocks are nearer to each other than this, and breaks are longer.
pub(crate) const CLOCK_TOLERANCE_MS: u32 = 60_000;
/// Words overlap by this much in transcripts that are right. It is longer than almost any word.
const JITTER_MS: u32 = 500;
/// No word takes longer, and hardly a laughter.
const MAX_WORD_MS: u32 = 30_000;
/// Captions hold a phrase in one entry, and may show it until the next one comes.
const MAX_PHRASE_MS: u32 = 120_000;
/// People who think in the middle of a sentence go on earlier than this, and recognizers begin a new entry before.
const LONE_WORD_GAP_MS: u32 = 10_000;
/// What one word takes at most, on the average of several.
const AVERAGE_WORD_MS: u32 = 700;
/// More words than this are a part of the meeting, wherever it belongs.
const MAX_OUTLIERS: usize = 8;
/// A word this far away would be a turn of its own.
const OUTLIER_GAP_MS: u32 = 3_000;

/// What the file says of a word's time, in milliseconds from the start of the recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MeasuredWord {
    pub(crate) start: Option<u32>,
    pub(crate) end: Option<u32>,
    pub(crate) ends_sentence: bool,
    /// It has several words.
    pub(crate) is_phrase: bool,
}

/// When the entries around this one begin, as far as that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Neighbors {
    pub(crate) before: Option<u32>,
    pub(crate) after: Option<u32>,
    /// What was before is the part of this entry that is settled already, and nothing can be earlier.
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

/// Forgets every time that cannot be right.
pub(crate) fn repair(words: &mut [MeasuredWord], neighbors: Neighbors) {
    // Nearly all entries are in order, and are looked at once.
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

fn clear_before_previous_entry(words: &mut [MeasuredWord], neighbors: Neighbors) {
    let first = words.iter().find_map(MeasuredWord::time);
    let (Some(before), Some(first)) = (neighbors.before, first) else { return };
    if neighbors.is_later_part || first >= before && neighbors.after.is_none_or(|after| first <= after) {
        let early = |word: &&mut MeasuredWord| word.time().is_some_and(|time| time + JITTER_MS < before);
        words.iter_mut().filter(early).for_each(MeasuredWord::clear);
    }
}

/// Forgets a few words far away, between two that follow each other closely.
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

/// Keeps a longest run of times that never go back, and what is as good as in it.
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

/// The places of a longest run of times that never go back. Of several, it is the one that ends earliest, because a
/// wrong time is more often far ahead than far behind; and then the one in which each time is nearest to the next.
fn longest_run(words: &[MeasuredWord]) -> Vec<usize> {
    let time = |at: usize| words.get(at).and_then(MeasuredWord::time).unwrap_or_default();
    // Of the runs of each length, the one that ends earliest: its last place.
    let mut ends: Vec<usize> = Vec::new();
    // For each place, the last one of the run before it, and the place that it replaced in `ends`, whose time is later.
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
