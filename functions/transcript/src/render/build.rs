//! Makes the compact meeting from entries and words, as the parser meets them.

use std::sync::Arc;

use super::{
    compact::{Compact, MAX_MEETING_BYTES, Reading},
    marks::{Ending, ending},
    meeting::{Head, Meeting, Record, Span},
    people::{MAX_SPEAKERS, People, short},
    times::Times,
    words::{clean, extends, is_closing, is_unfinished},
};

/// A silence this long ends a turn, in milliseconds. So does a jump this far backwards.
const PAUSE_MS: u32 = 3000;
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
    entry: Entry,
    /// One word's text, cleaned.
    word: String,
    /// The end of the entry before, which the next one follows if it has no times.
    last_ms: u32,
    duration_ms: u32,
    given_up: Option<String>,
}

/// The entry that is being read.
#[derive(Debug, Default)]
struct Entry {
    at: Reading,
    words: u32,
    times: Times,
    /// The last settled span waits for the next one, which it must not reach into.
    held: Option<Span>,
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
    /// An entry begins.
    pub(crate) fn begin(&mut self) {
        self.entry = Entry { at: self.compact.begin_entry(), ..Entry::default() };
    }

    /// The text of the word that is being read, if it has one. Whether there is anything to be read in it.
    pub(crate) fn text(&mut self, text: &str) -> bool {
        clean(text, &mut self.word);
        !self.word.is_empty()
    }

    /// A word is complete. Its times are in milliseconds.
    pub(crate) fn word(&mut self, start: Option<u32>, end: Option<u32>) {
        if self.given_up.is_none() {
            let Self { compact, entry: Entry { times, held, words, .. }, word, .. } = self;
            compact.push_word(word);
            *words += 1;
            times.push(start, end, |span| settle(compact, held, span));
            self.limit();
        }
        self.word.clear();
    }

    /// An entry is complete.
    pub(crate) fn end(&mut self, id: Option<&str>, name: Option<&str>, is_host: bool, language: Option<u16>) {
        let Some(speaker) = self.people.meet(id, name, is_host) else {
            return self.give_up(format!("more than {MAX_SPEAKERS} speakers"));
        };
        if self.given_up.is_some() {
            return;
        }
        let Self { compact, entry, last_ms, .. } = self;
        let timed = entry.times.any();
        entry.times.finish(*last_ms, |span| settle(compact, &mut entry.held, span));
        if let Some(span) = entry.held.take() {
            compact.push_span(span);
        }
        self.limit();
        if self.entry.words > 0 {
            self.cut(speaker, language, timed);
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

    /// The distinct participants so far, with and without words.
    pub(crate) fn speakers(&self) -> usize {
        self.people.len()
    }

    pub(crate) fn languages(&self) -> &[Arc<str>] {
        &self.languages
    }

    /// # Errors
    /// Why there can be no renditions.
    pub(crate) fn finish(mut self, head: Head) -> Result<Meeting, String> {
        if let Some(why) = self.given_up {
            return Err(why);
        }
        self.records.sort_unstable_by_key(|record| (record.span.start_ms, record.at.text));
        Ok(Meeting {
            head,
            speakers: self.people.finish(),
            languages: self.languages,
            duration_ms: self.duration_ms,
            compact: self.compact,
            records: self.records,
        })
    }

    /// Cuts an entry into turns.
    fn cut(&mut self, speaker: u16, language: Option<u16>, timed: bool) {
        let mut at = self.entry.at;
        let mut turn: Option<Cut> = None;
        let mut end_ms = 0;
        for _ in 0..self.entry.words {
            let before = at;
            let Some((word, span)) = self.compact.read(&mut at) else { break };
            end_ms = span.end_ms;
            let whole = turn.take_if(|turn| turn.ends_before(word, span));
            let cut = turn.get_or_insert_with(|| Cut::new(before, span));
            cut.push(word, span);
            if let Some(whole) = whole {
                self.record(&whole, speaker, language, timed);
            }
        }
        if let Some(whole) = turn {
            self.record(&whole, speaker, language, timed);
        }
        self.last_ms = end_ms;
    }

    fn record(&mut self, turn: &Cut, speaker: u16, language: Option<u16>, timed: bool) {
        // Nothing was said.
        if turn.bytes == 0 {
            return;
        }
        let Cut { at, span, words, .. } = *turn;
        self.people.talked(speaker, span.end_ms.saturating_sub(span.start_ms), words, timed);
        if timed {
            self.duration_ms = self.duration_ms.max(span.end_ms);
        }
        if self.records.len() == self.records.capacity() {
            // Doubling would take far more than is used.
            self.records.reserve_exact(MIN_RECORDS.max(self.records.len() / 8));
        }
        self.records.push(Record { at, span, words, speaker, language, timed });
        self.limit();
    }

    fn limit(&mut self) {
        if self.compact.bytes() + self.records.len() * size_of::<Record>() > MAX_MEETING_BYTES {
            self.give_up(format!("the meeting takes more than {MAX_MEETING_BYTES} bytes even in compact form"));
        }
    }

    fn give_up(&mut self, why: String) {
        self.compact = Compact::default();
        self.records = Vec::new();
        self.given_up = Some(why);
    }
}

/// Writes the span before, now that it is known what follows it.
fn settle(compact: &mut Compact, held: &mut Option<Span>, mut span: Span) {
    if let Some(mut before) = held.take() {
        let back_ms = before.start_ms.saturating_sub(span.start_ms);
        if back_ms < PAUSE_MS {
            // A speaker's words follow each other.
            span.start_ms = span.start_ms.max(before.start_ms);
            span.end_ms = span.end_ms.max(span.start_ms);
            before.end_ms = before.end_ms.min(span.start_ms);
        }
        compact.push_span(before);
    }
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
        let back_ms = self.word_end_ms.saturating_sub(span.start_ms);
        pause_ms >= PAUSE_MS
            || back_ms >= PAUSE_MS
            || long > HARD_TURN_BYTES
            || self.bytes >= SOFT_TURN_BYTES && self.ending == Ending::Sentence
    }

    fn push(&mut self, word: &str, span: Span) {
        self.words += 1;
        if !word.is_empty() {
            self.bytes += word.len() + 1;
            self.unfinished = is_unfinished(word);
            // A closing quotation mark that is a word of its own leaves the sentence ended.
            self.ending = ending(word).max(if is_closing(word) { self.ending } else { Ending::Open });
        }
        self.word_end_ms = span.end_ms;
        self.span.end_ms = self.span.end_ms.max(span.end_ms);
    }
}

#[cfg(test)]
mod tests {
    use shared::ids::{RecordingId, TranscriptId};

    use super::*;

    fn built(fill: impl FnOnce(&mut Builder)) -> Result<Meeting, String> {
        let mut builder = Builder::default();
        fill(&mut builder);
        let (recording_id, transcript_id) = (RecordingId::from_u128(1), TranscriptId::from_u128(2));
        builder.finish(Head { recording_id, transcript_id, title: None, started_at: None })
    }

    fn say(builder: &mut Builder, id: &str, words: &[(&str, u32, u32)]) {
        builder.begin();
        for (text, start_ms, end_ms) in words {
            builder.text(text);
            builder.word(Some(*start_ms), Some(*end_ms));
        }
        builder.end(Some(id), None, false, None);
    }

    fn turns(meeting: &Meeting) -> Vec<(usize, String, u32, u32)> {
        meeting.turns().map(|turn| (turn.speaker, turn.text, turn.span.start_ms, turn.span.end_ms)).collect()
    }

    #[test]
    fn entries_are_cut_at_pauses_and_put_in_time_order() {
        let meeting = built(|builder| {
            say(builder, "1", &[("a", 0, 500), ("b", 3499, 3600), ("c", 6600, 6700), ("!", 20_000, 20_100)]);
            say(builder, "2", &[("d", 2000, 90_000), ("e", 5000, 5100), ("f", 1000, 1100), ("", 1200, 1300)]);
            say(builder, "3", &[("", 1, 2)]);
        });
        let expected = [(0, "a b", 0, 3600), (1, "f", 1000, 1300), (1, "d", 2000, 5000), (1, "e", 5000, 5100)];
        let turns = turns(&meeting.expect("a meeting"));
        assert_eq!(turns[..2], expected[..2].iter().map(|t| (t.0, t.1.to_owned(), t.2, t.3)).collect::<Vec<_>>());
        assert_eq!(turns.len(), 4, "{turns:?}");
    }

    #[test]
    fn long_turns_end_with_a_sentence_or_at_the_bound() {
        let sentence: Vec<_> =
            (0..400).map(|n| (if n % 10 == 9 { "last." } else { "word" }, n * 300, n * 300 + 250)).collect();
        let endless: Vec<_> = (0..400).map(|n| ("word", n * 300, n * 300 + 250)).collect();
        let meeting = built(|builder| {
            say(builder, "1", &sentence);
            say(builder, "2", &endless);
        });
        for turn in meeting.expect("a meeting").turns() {
            assert!(turn.text.len() <= HARD_TURN_BYTES, "{}", turn.text.len());
            assert!(turn.speaker == 1 || turn.text.ends_with("last."), "{}", turn.text);
        }
    }

    #[test]
    fn too_large_a_meeting_is_given_up_but_goes_on_counting() {
        let mut builder = Builder::default();
        for id in 0..900 {
            say(&mut builder, &id.to_string(), &[("x".repeat(20_000).as_str(), 0, 1)]);
        }
        assert_eq!(builder.speakers(), 900);
        assert_eq!(builder.compact.bytes(), 0);
        assert!(built(|other| *other = builder).expect_err("too large").contains("bytes"));
    }

    #[test]
    fn the_limit_holds_within_one_entry_too() {
        for (text, step_ms) in [("a", 10_000), ("a", 100), ("", 100)] {
            let mut builder = Builder::default();
            builder.begin();
            let mut most = 0;
            for n in 0..6_000_000_u32 {
                builder.text(text);
                // No time is known before the last word.
                let at = (step_ms == 10_000).then_some(n.wrapping_mul(step_ms) % 2_000_000_000);
                builder.word(at, at);
                most = most.max(builder.compact.bytes());
            }
            builder.end(None, None, false, None);
            assert!(most <= MAX_MEETING_BYTES + (1 << 20), "{most}");
            assert!(builder.records.capacity() * size_of::<Record>() <= 2 * MAX_MEETING_BYTES);
            assert!(built(|other| *other = builder).is_err(), "{text} {step_ms}");
        }
    }

    #[test]
    fn a_day_takes_little_memory_in_whatever_entries_it_comes() {
        for entry_words in [1, 10, 100_000] {
            let meeting = built(|builder| {
                for from in (0..250_000_u32).step_by(entry_words) {
                    let words = from..250_000.min(from + entry_words as u32);
                    let words: Vec<_> = words.map(|n| ("wordy", n * 340 + n % 7, n * 340 + 300)).collect();
                    say(builder, "1", &words);
                }
            });
            let meeting = meeting.expect("a meeting");
            let limit = if entry_words == 1 { MAX_MEETING_BYTES } else { 5 << 20 };
            assert!(meeting.bytes() < limit, "{} in entries of {entry_words}", meeting.bytes());
        }
    }
}
