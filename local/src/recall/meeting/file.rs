//! Turns on a timeline, and Recall's file of them.

use std::io::Write as _;

/// A person in the meeting. The number in the file is one more than the index in the list.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) is_host: bool,
}

/// The words of one speaker. Times are in microseconds from the start of the recording.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) speaker: usize,
    pub(super) words: Vec<Word>,
}

#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// How fast a language is spoken.
pub(super) struct Pace {
    /// The microseconds of every word.
    pub(super) word: f64,
    /// The additional microseconds of each character.
    pub(super) character: f64,
}

/// Speaks one utterance after another.
pub(super) struct Speech {
    pub(super) random: fastrand::Rng,
    pace: Pace,
    now: u64,
    pub(super) turns: Vec<Turn>,
}

impl Speech {
    pub(super) fn new(random: fastrand::Rng, pace: Pace) -> Self {
        Self { random, pace, now: 1_800_000, turns: Vec::new() }
    }

    pub(super) fn seconds(&self) -> u64 {
        self.now / 1_000_000
    }

    /// Speaks these words after a short pause, as a separate turn.
    pub(super) fn say<T: Into<String>>(&mut self, speaker: usize, words: impl IntoIterator<Item = T>) {
        self.now += self.between(250_000.0, 1_100_000.0);
        let words = self.speak(self.now, words);
        if let Some(last) = words.last() {
            self.now = last.end;
            self.turns.push(Turn { speaker, words });
        }
    }

    /// Says something short during the last words of the previous speaker.
    pub(super) fn interject<T: Into<String>>(&mut self, speaker: usize, words: impl IntoIterator<Item = T>) {
        let begun = self.turns.last().and_then(|turn| turn.words.last()).map_or(self.now, |word| word.start);
        let start = begun + self.between(20_000.0, 90_000.0);
        let words = self.speak(start, words);
        if let Some(last) = words.last() {
            self.now = self.now.max(last.end);
            self.turns.push(Turn { speaker, words });
        }
    }

    fn speak<T: Into<String>>(&mut self, start: u64, words: impl IntoIterator<Item = T>) -> Vec<Word> {
        let mut at = start;
        let mut spoken = Vec::new();
        for text in words {
            let text: String = text.into();
            let letters = text.chars().filter(|character| character.is_alphanumeric()).count();
            let plain = self.pace.word + self.pace.character * letters as f64;
            let end = at + self.between(plain * 0.8, plain * 1.25);
            let pause = match text.chars().last() {
                Some('.' | '?' | '!' | '。' | '？') => self.between(260_000.0, 720_000.0),
                Some(',' | ':' | '、') => self.between(90_000.0, 260_000.0),
                _ => self.between(0.0, 45_000.0),
            };
            spoken.push(Word { text, start: at, end });
            at = end + pause;
        }
        spoken
    }

    fn between(&mut self, low: f64, high: f64) -> u64 {
        (low + self.random.f64() * (high - low)) as u64
    }
}

/// Returns the file, as compact as Recall writes it: a bare array, in which every absolute time is null.
pub(super) fn write(people: &[Person], language: &str, turns: &[Turn]) -> Vec<u8> {
    let mut file = Vec::with_capacity(turns.iter().map(|turn| 160 + 150 * turn.words.len()).sum());
    file.push(b'[');
    write_turns(&mut file, people, language, turns, 0);
    file.push(b']');
    file
}

/// Writes turns with commas between them and `offset` microseconds added, and with a comma before the first one if
/// needed.
pub(super) fn write_turns(file: &mut Vec<u8>, people: &[Person], language: &str, turns: &[Turn], offset: u64) {
    for turn in turns {
        if file.last() != Some(&b'[') {
            file.push(b',');
        }
        // Writing to memory cannot fail.
        let _ = write!(
            file,
            "{{\"participant\":{{\"id\":{},\"name\":{},\"is_host\":{},\"platform\":\"unknown\",\"extra_data\":null,\
             \"email\":null}},\"language_code\":\"{language}\",\"words\":[",
            turn.speaker + 1,
            serde_json::Value::from(people[turn.speaker].name),
            people[turn.speaker].is_host,
        );
        for (index, word) in turn.words.iter().enumerate() {
            if index > 0 {
                file.push(b',');
            }
            file.extend_from_slice(b"{\"text\":\"");
            // None of our words needs escaping.
            file.extend_from_slice(word.text.as_bytes());
            file.extend_from_slice(b"\",\"start_timestamp\":{\"relative\":");
            seconds(file, word.start + offset);
            file.extend_from_slice(b",\"absolute\":null},\"end_timestamp\":{\"relative\":");
            seconds(file, word.end + offset);
            file.extend_from_slice(b",\"absolute\":null}}");
        }
        file.extend_from_slice(b"]}");
    }
}

/// Writes a float as JSON writers do: no zeros at the end, but at least one digit after the point.
fn seconds(file: &mut Vec<u8>, microseconds: u64) {
    let _ = write!(file, "{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000);
    while file.ends_with(b"0") && !file.ends_with(b".0") {
        file.pop();
    }
}
