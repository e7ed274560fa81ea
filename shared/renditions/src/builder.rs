//! Makes the compact meeting from the entries and words that the reader finds.

mod open_turn;

use std::sync::Arc;

use self::open_turn::OpenTurn;
use super::{
    attendance::Attendance,
    compact::{CompactWords, Cursor, MAX_MEETING_BYTES},
    meeting::{Counts, Meeting, MeetingInfo, TurnRecord},
    people::{Participant, People, Roster, shorten},
    punctuation::{Ending, ending},
    record::MeetingRecord,
    repair::{END_TOLERANCE_MS, MeasuredWord, Neighbors, repair},
    times::{MAX_MS, Span, TimeInterpolator},
    visible::{has_visible, is_modifier},
    words::clean,
};

/// The number of words in an entry whose times may wait for later words. A longer entry is settled in parts.
const MAX_UNSETTLED: usize = 1 << 12;
/// The last words of a part are settled together with the next part, which contains their neighbors.
const CARRIED_OVER_WORDS: usize = 64;
/// The list of turns has room for at least this many.
const MIN_TURN_RECORDS: usize = 512;
/// The number of distinct languages that are kept.
const MAX_LANGUAGES: usize = 1000;

/// Collects a meeting.
#[derive(Debug, Default)]
pub(crate) struct MeetingBuilder {
    compact: CompactWords,
    records: Vec<TurnRecord>,
    people: People,
    languages: Vec<Arc<str>>,
    /// The entry that is being read.
    entry: Entry,
    /// The entry before it. It is settled when the start of the current entry is known.
    previous: Option<Entry>,
    /// The buffer of a settled entry, for reuse by the next entry.
    spare: Vec<MeasuredWord>,
    /// The cleaned text of the current word, and whether it is plain (see [`clean`]).
    word_text: String,
    word_is_plain: bool,
    /// The length of the recording, if it is known.
    recording_ms: Option<u32>,
    /// The start of the last settled entry, if any of its times are known.
    previous_start_ms: Option<u32>,
    /// The end of that entry. If the next entry has no times, it starts here.
    previous_end_ms: u32,
    counts: Counts,
    render_error: Option<String>,
}

/// An entry of the file.
#[derive(Debug, Default)]
struct Entry {
    cursor: Cursor,
    /// The number of words with a visible character.
    word_count: u32,
    /// The words that are not settled yet.
    unsettled: Vec<MeasuredWord>,
    /// The first times in the file. Any of them may be wrong.
    first_times_ms: [Option<u32>; 3],
    interpolator: TimeInterpolator,
    /// Whether any spans have been settled.
    has_settled: bool,
    /// The last settled span. It is written when the next span is known, because it must not overlap that one.
    pending_span: Option<Span>,
    participant: u16,
    language: Option<u16>,
}

impl MeetingBuilder {
    /// Starts a meeting. `recording_ms` is the length of the recording, if it is known.
    pub(crate) fn new(recording_ms: Option<u32>) -> Self {
        Self { recording_ms, ..Self::default() }
    }

    /// Begins an entry.
    pub(crate) fn begin_entry(&mut self) {
        let unsettled = std::mem::take(&mut self.spare);
        self.entry = Entry { cursor: self.compact.end_of_text(), unsettled, ..Entry::default() };
    }

    /// Drops the words of this entry: the key `words` appears again, and its last value counts.
    pub(crate) fn restart_entry(&mut self) {
        if self.render_error.is_none() {
            let Entry { cursor, word_count, ref mut unsettled, .. } = self.entry;
            unsettled.clear();
            self.spare = std::mem::take(unsettled);
            self.counts.words -= u64::from(word_count);
            self.compact.truncate_text(cursor);
            self.begin_entry();
        }
    }

    /// Sets the text of the current word.
    pub(crate) fn set_word_text(&mut self, text: &str) {
        self.word_text.clear();
        self.word_is_plain = clean(text, &mut self.word_text);
    }

    /// Ends a word. Its times are in milliseconds. A word without any visible character is dropped.
    pub(crate) fn end_word(&mut self, start: Option<u32>, end: Option<u32>) {
        let known = |time: Option<u32>| time.filter(|time| self.is_within(*time));
        let (start, end) = (known(start), known(end));
        let visible = if self.word_is_plain { !self.word_text.is_empty() } else { has_visible(&self.word_text) };
        if visible {
            self.counts.words += 1;
        }
        if self.render_error.is_some() {
            self.extend_duration(end.max(start).unwrap_or(0));
        } else if visible {
            self.compact.push_word(&self.word_text);
            let ends_sentence = ending(&self.word_text) == Ending::Sentence;
            let measured = MeasuredWord {
                start,
                end,
                ends_sentence,
                is_phrase: !self.word_is_plain && self.word_text.contains(' '),
            };
            let entry = &mut self.entry;
            entry.word_count += 1;
            if let Some(first_times_ms) =
                entry.first_times_ms.iter_mut().find(|first_times_ms| first_times_ms.is_none())
            {
                *first_times_ms = measured.time();
            }
            entry.unsettled.push(measured);
            if entry.unsettled.len() >= MAX_UNSETTLED {
                self.finish_previous_entry();
                let mut entry = std::mem::take(&mut self.entry);
                let carried_over = entry.unsettled.len().saturating_sub(CARRIED_OVER_WORDS);
                let carried_over = entry.unsettled.get(carried_over..).unwrap_or_default().to_vec();
                self.settle_times(&mut entry, carried_over.len(), None);
                entry.unsettled.extend(carried_over);
                self.entry = entry;
            }
            self.enforce_limit();
        } else if self.entry.word_count > 0 && is_modifier(&self.word_text) {
            self.compact.append_to_word(&self.word_text);
        }
        self.word_text.clear();
    }

    /// Returns whether a time is within the recording, as far as its length is known.
    pub(crate) fn is_within(&self, ms: u32) -> bool {
        ms <= self.end_ms()
    }

    /// The latest valid time.
    fn end_ms(&self) -> u32 {
        self.recording_ms.map_or(MAX_MS, |recording_ms| recording_ms.saturating_add(END_TOLERANCE_MS).min(MAX_MS))
    }

    /// Returns whether the current entry has any words yet.
    pub(crate) fn has_words(&self) -> bool {
        self.entry.word_count > 0
    }

    /// Sets the times that the file gives for the whole entry. They count only if none of its words has a time.
    pub(crate) fn set_entry_times(&mut self, start: Option<u32>, end: Option<u32>) {
        if self.entry.first_times_ms == [None; 3] {
            let known = |time: Option<u32>| time.filter(|time| self.is_within(*time));
            let (start, end) = (known(start), known(end));
            let words = &mut self.entry.unsettled;
            words.iter_mut().take(1).for_each(|first| first.start = start);
            words.iter_mut().rev().take(1).for_each(|last| last.end = end);
            self.entry.first_times_ms[0] = start.or(end);
        }
    }

    /// Ends an entry.
    pub(crate) fn end_entry(&mut self, participant: &Participant, language: Option<u16>) {
        self.entry.participant = self.people.register(participant);
        self.entry.language = language;
        if self.render_error.is_none() {
            self.finish_previous_entry();
            self.previous = Some(std::mem::take(&mut self.entry));
        }
    }

    /// Returns the index of a language code, or none if there are too many codes.
    pub(crate) fn language_index(&mut self, code: &str) -> Option<u16> {
        let code = shorten(code);
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

    /// Ends the file. The counts are valid even if the meeting cannot be rendered; then the error says why.
    pub(crate) fn finish(
        mut self,
        info: MeetingInfo,
        attendance: Attendance,
    ) -> (Counts, MeetingRecord, Result<Meeting, String>) {
        self.entry = Entry::default();
        self.finish_previous_entry();
        let Roster { speakers, participants, speaker_count, speakers_over_limit, participants_over_limit } =
            self.people.finish(attendance);
        let record = MeetingRecord::new(&info, &speakers, participants_over_limit);
        self.counts.speakers = speaker_count;
        self.counts.speakers_over_limit = speakers_over_limit;
        if let Some(why) = self.render_error {
            return (self.counts, record, Err(why));
        }
        self.records.sort_unstable_by_key(|record| (record.span.start_ms, record.cursor.text));
        let duration_ms = self.counts.duration_ms;
        let Self { languages, compact, records, counts, .. } = self;
        let meeting = Meeting {
            info,
            speakers,
            participants,
            participants_over_limit,
            speakers_over_limit,
            languages,
            duration_ms,
            compact,
            records,
        };
        (counts, record, Ok(meeting))
    }

    /// Settles the entry before the current one.
    fn finish_previous_entry(&mut self) {
        let Some(mut entry) = self.previous.take() else { return };
        if entry.word_count > 0 && self.render_error.is_none() {
            self.settle_times(&mut entry, 0, self.entry.start_ms());
            let timed = entry.interpolator.has_known();
            let end_ms = self.end_ms();
            let Self { compact, previous_end_ms, .. } = self;
            entry
                .interpolator
                .finish(*previous_end_ms, |span| push_settled(compact, &mut entry.pending_span, span, end_ms));
            if let Some(span) = entry.pending_span.take() {
                compact.push_span(span);
            }
            self.enforce_limit();
            self.cut_into_turns(&entry, timed);
        }
        self.spare = entry.unsettled;
    }

    /// Settles the times of the entry's words, except the last `carried_over`, which are passed in again. `after` is
    /// the start of the next entry, if it is known.
    fn settle_times(&mut self, entry: &mut Entry, carried_over: usize, after: Option<u32>) {
        let end_ms = self.end_ms();
        let Self { compact, .. } = self;
        let Entry { interpolator, pending_span, unsettled, .. } = entry;
        let is_later_part = entry.has_settled;
        let before = if is_later_part { interpolator.last_known_ms() } else { self.previous_start_ms };
        if !entry.has_settled {
            entry.cursor.spans = compact.begin_spans();
            entry.has_settled = true;
        }
        repair(unsettled, Neighbors { before, after, is_later_part });
        let settled = unsettled.len().saturating_sub(carried_over);
        for MeasuredWord { start, end, .. } in unsettled.iter().take(settled) {
            interpolator.push(*start, *end, |span| push_settled(compact, pending_span, span, end_ms));
        }
        unsettled.clear();
    }

    /// Cuts an entry into turns.
    fn cut_into_turns(&mut self, entry: &Entry, timed: bool) {
        let mut cursor = entry.cursor;
        let mut turn: Option<OpenTurn> = None;
        let mut whole_span: Option<Span> = None;
        for _ in 0..entry.word_count {
            let before = cursor;
            let Some((word, span)) = self.compact.read(&mut cursor) else { break };
            whole_span = Some(Span { start_ms: whole_span.map_or(span.start_ms, |whole| whole.start_ms), ..span });
            let whole = turn.take_if(|turn| turn.ends_before(word, span));
            let cut = turn.get_or_insert_with(|| OpenTurn::new(before, span));
            cut.push(word, span);
            if let Some(whole) = whole {
                self.add_turn(&whole, entry, timed);
            }
        }
        if let Some(whole) = turn {
            self.add_turn(&whole, entry, timed);
        }
        let Span { start_ms, end_ms } = whole_span.unwrap_or_default();
        self.previous_start_ms = Some(start_ms).filter(|_| timed);
        self.previous_end_ms = end_ms;
    }

    fn add_turn(&mut self, turn: &OpenTurn, entry: &Entry, timed: bool) {
        let OpenTurn { cursor, span, words, .. } = *turn;
        let Entry { participant, language, .. } = *entry;
        self.counts.turns += 1;
        self.people.add_talk(participant, span.end_ms.saturating_sub(span.start_ms), words, timed);
        if timed {
            self.extend_duration(span.end_ms);
        }
        if self.records.len() == self.records.capacity() {
            // Doubling the capacity would reserve far more memory than is needed.
            self.records.reserve_exact(MIN_TURN_RECORDS.max(self.records.len() / 8));
        }
        self.records.push(TurnRecord { cursor, span, words, participant, language, timed });
        self.enforce_limit();
    }

    fn extend_duration(&mut self, end_ms: u32) {
        self.counts.duration_ms = self.counts.duration_ms.max(end_ms);
    }

    fn enforce_limit(&mut self) {
        if self.compact.bytes() + self.records.len() * size_of::<TurnRecord>() > MAX_MEETING_BYTES {
            let why = format!("the meeting is larger than {MAX_MEETING_BYTES} bytes in compact form");
            self.compact = CompactWords::default();
            self.records = Vec::new();
            // Without a meeting there are no rendered turns.
            self.counts.turns = 0;
            self.render_error = Some(why);
        }
    }
}

impl Entry {
    /// The start of the entry: the median of the first times in the file.
    fn start_ms(&self) -> Option<u32> {
        let mut known: Vec<u32> = self.first_times_ms.iter().flatten().copied().collect();
        known.sort_unstable();
        known.get(known.len().saturating_sub(1) / 2).copied()
    }
}

/// Writes the previous span, which must not overlap the new one: the words of one speaker follow each other.
fn push_settled(compact: &mut CompactWords, pending_span: &mut Option<Span>, span: Span, end_ms: u32) {
    let mut span = Span { start_ms: span.start_ms.min(end_ms), end_ms: span.end_ms.min(end_ms) };
    if let Some(mut before) = pending_span.take() {
        span.start_ms = span.start_ms.max(before.start_ms);
        before.end_ms = before.end_ms.min(span.start_ms);
        compact.push_span(before);
    }
    span.end_ms = span.end_ms.max(span.start_ms);
    *pending_span = Some(span);
}

#[cfg(test)]
mod tests;
