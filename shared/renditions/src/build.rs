//! Makes the compact meeting from entries and words, as the parser meets them.

use std::sync::Arc;

use super::{
    compact::{Compact, MAX_MEETING_BYTES, Reading},
    marks::{Ending, ending},
    meeting::{Counts, Head, Meeting, Record, Span},
    people::{Crowd, Participant, People, short},
    repair::{Around, LATE_MS, Measured, repair},
    times::{MAX_MS, Times},
    visible::{has_visible, modifies},
    words::{clean, extends, is_closing, is_unfinished},
};

/// A silence this long ends a turn, in milliseconds.
const PAUSE_MS: u32 = 3000;
/// Words of one entry whose times wait for those that follow. An entry of more is settled in parts.
const MAX_UNSETTLED: usize = 1 << 12;
/// The last words of a part are settled with the next one, which has their neighbors.
const CARRIED_OVER: usize = 64;
/// A turn this long ends with its sentence, in bytes of text: about 40 seconds of talking.
const SOFT_TURN_BYTES: usize = 600;
/// A turn this long ends with any word.
const HARD_TURN_BYTES: usize = 1200;
/// So does one of this many words, whatever is in them.
const MAX_TURN_WORDS: u16 = 4096;
/// Room is made for so many turns at least.
const MIN_RECORDS: usize = 512;
/// Distinct languages that are remembered.
const MAX_LANGUAGES: usize = 1000;

/// Collects a meeting.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    compact: Compact,
    records: Vec<Record>,
    people: People,
    languages: Vec<Arc<str>>,
    /// The entry that is being read.
    entry: Entry,
    /// The entry before it, which is settled when it is known where this one begins.
    complete: Option<Entry>,
    /// The memory of an entry that is settled, for the next one.
    spare: Vec<Measured>,
    /// One word's text, cleaned, and whether it is plain.
    word: String,
    is_plain: bool,
    /// How long the recording is.
    length_ms: Option<u32>,
    /// When the last settled entry began, if any of its times are known.
    started_ms: Option<u32>,
    /// When it ended: the next one follows it if it has no times.
    last_ms: u32,
    counts: Counts,
    given_up: Option<String>,
}

/// An entry of the file.
#[derive(Debug, Default)]
struct Entry {
    at: Reading,
    /// Words with anything to see.
    words: u32,
    /// Those that are not settled yet.
    measured: Vec<Measured>,
    /// The first times that the file states: any of them may be wrong.
    first_ms: [Option<u32>; 3],
    times: Times,
    /// Whether spans have been written.
    open: bool,
    /// The last settled span waits for the next one, which it must not reach into.
    held: Option<Span>,
    face: u16,
    language: Option<u16>,
}

/// The turn that is being cut from an entry.
struct Cut {
    at: Reading,
    span: Span,
    words: u16,
    bytes: usize,
    ending: Ending,
    /// The last character may go on with the next word.
    unfinished: bool,
    word_end_ms: u32,
}

impl Builder {
    /// Of a recording that is this long, if that is known.
    pub(crate) fn new(length_ms: Option<u32>) -> Self {
        Self { length_ms, ..Self::default() }
    }

    /// An entry begins.
    pub(crate) fn begin(&mut self) {
        let measured = std::mem::take(&mut self.spare);
        self.entry = Entry { at: self.compact.end_of_text(), measured, ..Entry::default() };
    }

    /// The words of this entry come a second time, and these are the ones that count.
    pub(crate) fn begin_again(&mut self) {
        if self.given_up.is_none() {
            let Entry { at, words, ref mut measured, .. } = self.entry;
            measured.clear();
            self.spare = std::mem::take(measured);
            self.counts.words -= u64::from(words);
            self.compact.forget_text(at);
            self.begin();
        }
    }

    /// The text of the word that is being read, if it has one.
    pub(crate) fn text(&mut self, text: &str) {
        self.word.clear();
        self.is_plain = clean(text, &mut self.word);
    }

    /// A word is complete. Its times are in milliseconds. It is one only if there is anything to see.
    pub(crate) fn word(&mut self, start: Option<u32>, end: Option<u32>) {
        let known = |time: Option<u32>| time.filter(|time| self.is_within(*time));
        let (start, end) = (known(start), known(end));
        let visible = if self.is_plain { !self.word.is_empty() } else { has_visible(&self.word) };
        if visible {
            self.counts.words += 1;
        }
        if self.given_up.is_some() {
            self.lasts_until(end.max(start).unwrap_or(0));
        } else if visible {
            self.compact.push_word(&self.word);
            let ends_sentence = ending(&self.word) == Ending::Sentence;
            let measured = Measured { start, end, ends_sentence, is_phrase: !self.is_plain && self.word.contains(' ') };
            let entry = &mut self.entry;
            entry.words += 1;
            if let Some(first_ms) = entry.first_ms.iter_mut().find(|first_ms| first_ms.is_none()) {
                *first_ms = measured.time();
            }
            entry.measured.push(measured);
            if entry.measured.len() >= MAX_UNSETTLED {
                self.settle_complete();
                let mut entry = std::mem::take(&mut self.entry);
                let carried_over = entry.measured.len().saturating_sub(CARRIED_OVER);
                let carried_over = entry.measured.get(carried_over..).unwrap_or_default().to_vec();
                self.settle(&mut entry, carried_over.len(), None);
                entry.measured.extend(carried_over);
                self.entry = entry;
            }
            self.limit();
        } else if self.entry.words > 0 && modifies(&self.word) {
            self.compact.append_to_word(&self.word);
        }
        self.word.clear();
    }

    /// Whether a time is within the recording, as far as its length is known.
    pub(crate) fn is_within(&self, ms: u32) -> bool {
        ms <= self.end_ms()
    }

    /// No time is later.
    fn end_ms(&self) -> u32 {
        self.length_ms.map_or(MAX_MS, |length_ms| length_ms.saturating_add(LATE_MS).min(MAX_MS))
    }

    /// Whether this entry has any word yet.
    pub(crate) fn has_words(&self) -> bool {
        self.entry.words > 0
    }

    /// What the file says of the whole entry's time is all that is known, if its words have none.
    pub(crate) fn lasted(&mut self, start: Option<u32>, end: Option<u32>) {
        if self.entry.first_ms == [None; 3] {
            let known = |time: Option<u32>| time.filter(|time| self.is_within(*time));
            let (start, end) = (known(start), known(end));
            let words = &mut self.entry.measured;
            words.iter_mut().take(1).for_each(|first| first.start = start);
            words.iter_mut().rev().take(1).for_each(|last| last.end = end);
            self.entry.first_ms[0] = start.or(end);
        }
    }

    /// An entry is complete.
    pub(crate) fn end(&mut self, participant: &Participant, language: Option<u16>) {
        self.entry.face = self.people.meet(participant);
        self.entry.language = language;
        if self.given_up.is_none() {
            self.settle_complete();
            self.complete = Some(std::mem::take(&mut self.entry));
        }
    }

    /// The place of a language code in the list; none if there are too many.
    pub(crate) fn language(&mut self, code: &str) -> Option<u16> {
        let code = short(code);
        if code.is_empty() {
            return None;
        }
        let known = self.languages.iter().position(|known| **known == *code);
        if known.is_none() && self.languages.len() < MAX_LANGUAGES {
            self.languages.push(code.into());
            return u16::try_from(self.languages.len() - 1).ok();
        }
        known.and_then(|at| u16::try_from(at).ok())
    }

    pub(crate) fn languages(&self) -> &[Arc<str>] {
        &self.languages
    }

    /// The file has ended. What was counted stands, even if there can be no renditions: then it says why.
    pub(crate) fn finish(mut self, head: Head) -> (Counts, Result<Meeting, String>) {
        self.entry = Entry::default();
        self.settle_complete();
        let Crowd { speakers, faces, over_limit } = self.people.finish();
        self.counts.speakers_over_limit = over_limit;
        self.counts.speakers = over_limit + speakers.iter().filter(|speaker| !speaker.is_crowd).count();
        if let Some(why) = self.given_up {
            return (self.counts, Err(why));
        }
        self.records.sort_unstable_by_key(|record| (record.span.start_ms, record.at.text));
        let duration_ms = self.counts.duration_ms;
        let Self { languages, compact, records, counts, .. } = self;
        (counts, Ok(Meeting { head, speakers, faces, languages, duration_ms, compact, records }))
    }

    /// Settles the entry before the one that is being read.
    fn settle_complete(&mut self) {
        let Some(mut entry) = self.complete.take() else { return };
        if entry.words > 0 && self.given_up.is_none() {
            self.settle(&mut entry, 0, self.entry.begins_ms());
            let timed = entry.times.any();
            let end_ms = self.end_ms();
            let Self { compact, last_ms, .. } = self;
            entry.times.finish(*last_ms, |span| settle(compact, &mut entry.held, span, end_ms));
            if let Some(span) = entry.held.take() {
                compact.push_span(span);
            }
            self.limit();
            self.cut(&entry, timed);
        }
        self.spare = entry.measured;
    }

    /// Settles the times of an entry's words so far, but for the last ones, which come again. The next entry begins at
    /// `after`, if that is known.
    fn settle(&mut self, entry: &mut Entry, carried_over: usize, after: Option<u32>) {
        let end_ms = self.end_ms();
        let Self { compact, .. } = self;
        let Entry { times, held, measured, .. } = entry;
        let is_later_part = entry.open;
        let before = if is_later_part { times.known() } else { self.started_ms };
        if !entry.open {
            entry.at.spans = compact.begin_spans();
            entry.open = true;
        }
        repair(measured, Around { before, after, is_later_part });
        let settled = measured.len().saturating_sub(carried_over);
        for Measured { start, end, .. } in measured.iter().take(settled) {
            times.push(*start, *end, |span| settle(compact, held, span, end_ms));
        }
        measured.clear();
    }

    /// Cuts an entry into turns.
    fn cut(&mut self, entry: &Entry, timed: bool) {
        let mut at = entry.at;
        let mut turn: Option<Cut> = None;
        let mut whole_span: Option<Span> = None;
        for _ in 0..entry.words {
            let before = at;
            let Some((word, span)) = self.compact.read(&mut at) else { break };
            whole_span = Some(Span { start_ms: whole_span.map_or(span.start_ms, |whole| whole.start_ms), ..span });
            let whole = turn.take_if(|turn| turn.ends_before(word, span));
            let cut = turn.get_or_insert_with(|| Cut::new(before, span));
            cut.push(word, span);
            if let Some(whole) = whole {
                self.record(&whole, entry, timed);
            }
        }
        if let Some(whole) = turn {
            self.record(&whole, entry, timed);
        }
        let Span { start_ms, end_ms } = whole_span.unwrap_or_default();
        self.started_ms = Some(start_ms).filter(|_| timed);
        self.last_ms = end_ms;
    }

    fn record(&mut self, turn: &Cut, entry: &Entry, timed: bool) {
        let Cut { at, span, words, .. } = *turn;
        let Entry { face, language, .. } = *entry;
        self.counts.turns += 1;
        self.people.talked(face, span.end_ms.saturating_sub(span.start_ms), words, timed);
        if timed {
            self.lasts_until(span.end_ms);
        }
        if self.records.len() == self.records.capacity() {
            // Doubling would take far more than is used.
            self.records.reserve_exact(MIN_RECORDS.max(self.records.len() / 8));
        }
        self.records.push(Record { at, span, words, face, language, timed });
        self.limit();
    }

    fn lasts_until(&mut self, end_ms: u32) {
        self.counts.duration_ms = self.counts.duration_ms.max(end_ms);
    }

    fn limit(&mut self) {
        if self.compact.bytes() + self.records.len() * size_of::<Record>() > MAX_MEETING_BYTES {
            let why = format!("the meeting takes more than {MAX_MEETING_BYTES} bytes even in compact form");
            self.compact = Compact::default();
            self.records = Vec::new();
            // There is nothing to be rendered.
            self.counts.turns = 0;
            self.given_up = Some(why);
        }
    }
}

impl Entry {
    /// When it begins, as far as the file says so: the time in the middle of the first ones.
    fn begins_ms(&self) -> Option<u32> {
        let mut known: Vec<u32> = self.first_ms.iter().flatten().copied().collect();
        known.sort_unstable();
        known.get(known.len().saturating_sub(1) / 2).copied()
    }
}

/// Writes the span before, now that it is known what follows it: a speaker's words follow each other.
fn settle(compact: &mut Compact, held: &mut Option<Span>, span: Span, end_ms: u32) {
    let mut span = Span { start_ms: span.start_ms.min(end_ms), end_ms: span.end_ms.min(end_ms) };
    if let Some(mut before) = held.take() {
        span.start_ms = span.start_ms.max(before.start_ms);
        before.end_ms = before.end_ms.min(span.start_ms);
        compact.push_span(before);
    }
    span.end_ms = span.end_ms.max(span.start_ms);
    *held = Some(span);
}

impl Cut {
    fn new(at: Reading, span: Span) -> Self {
        Self { at, span, words: 0, bytes: 0, ending: Ending::Open, unfinished: false, word_end_ms: span.end_ms }
    }

    fn ends_before(&self, word: &str, span: Span) -> bool {
        let long = self.bytes + word.len();
        if self.words >= MAX_TURN_WORDS || long > 2 * HARD_TURN_BYTES {
            return self.words > 0;
        }
        // What belongs to the word before stays with it.
        if self.unfinished || is_closing(word) || word.chars().next().is_some_and(extends) {
            return false;
        }
        let pause_ms = span.start_ms.saturating_sub(self.word_end_ms);
        pause_ms >= PAUSE_MS
            || long > HARD_TURN_BYTES
            || self.bytes >= SOFT_TURN_BYTES && self.ending == Ending::Sentence
    }

    fn push(&mut self, word: &str, span: Span) {
        self.words += 1;
        self.bytes += word.len() + 1;
        self.unfinished = is_unfinished(word);
        // A closing quotation mark that is a word of its own leaves the sentence ended.
        self.ending = ending(word).max(if is_closing(word) { self.ending } else { Ending::Open });
        self.word_end_ms = span.end_ms;
        self.span.end_ms = self.span.end_ms.max(span.end_ms);
    }
}

#[cfg(test)]
mod tests;
