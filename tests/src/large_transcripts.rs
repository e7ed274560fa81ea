//! Transcripts of a whole day, in the shapes that a file can have. The measured figures must not depend on the shape.

use std::fmt::Write as _;

use bytes::Bytes;

/// The number of words that a person says without a break.
const UTTERANCE: usize = 12;
/// The milliseconds from one word to the next: a day has 270,000 words.
const STEP_MS: usize = 320;
const WORD_MS: usize = 270;

const WORDS: [&str; 9] = ["we", "should", "look", "at", "the", "numbers", "again", "before", "Friday"];

/// People take turns, and every utterance is an entry of its own.
pub fn by_utterance(words: usize, people: usize) -> Bytes {
    let entries = (0..words.div_ceil(UTTERANCE)).map(|at| (at % people, at..at + 1));
    file(entries)
}

/// People take turns, and everything that one person says is in one entry.
pub fn by_participant(words: usize, people: usize) -> Bytes {
    let utterances = words.div_ceil(UTTERANCE);
    file((0..people).map(|person| (person, (person..utterances).step_by(people))))
}

/// Returns the file, as compact as Recall writes it. An utterance is identified by its number on the timeline.
fn file<I: Iterator<Item = usize>>(entries: impl Iterator<Item = (usize, I)>) -> Bytes {
    let mut file = String::from("[");
    for (person, utterances) in entries {
        comma(&mut file);
        put(
            &mut file,
            format_args!(
                "{{\"participant\":{{\"id\":{person},\"name\":\"Person {person}\",\"is_host\":{},\
                 \"platform\":\"unknown\",\"extra_data\":null,\"email\":null}},\"language_code\":\"en\",\"words\":[",
                person == 0
            ),
        );
        for word in utterances.flat_map(|at| at * UTTERANCE..(at + 1) * UTTERANCE) {
            comma(&mut file);
            let text = WORDS[word % WORDS.len()];
            let mark = if (word + 1).is_multiple_of(UTTERANCE) { "." } else { "" };
            let (start_ms, end_ms) = (word * STEP_MS, word * STEP_MS + WORD_MS);
            put(
                &mut file,
                format_args!(
                    "{{\"text\":\"{text}{mark}\",\"start_timestamp\":{{\"relative\":{}.{:03},\"absolute\":null}},\
                     \"end_timestamp\":{{\"relative\":{}.{:03},\"absolute\":null}}}}",
                    start_ms / 1000,
                    start_ms % 1000,
                    end_ms / 1000,
                    end_ms % 1000
                ),
            );
        }
        file.push_str("]}");
    }
    file.push(']');
    file.into()
}

fn comma(file: &mut String) {
    if !file.ends_with('[') {
        file.push(',');
    }
}

/// Writing to a string cannot fail.
fn put(file: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = file.write_fmt(what);
}
