//! Transcripts of a day, in the shapes that files can have: what is measured must not depend on one of them.

use std::fmt::Write as _;

use bytes::Bytes;

/// What is said without a break, in words.
const UTTERANCE: usize = 12;
/// From word to word, in milliseconds: a day has 270,000 of them.
const STEP_MS: usize = 320;
const WORD_MS: usize = 270;

const WORDS: [&str; 9] = ["we", "should", "look", "at", "the", "numbers", "again", "before", "Friday"];

/// People take turns; every utterance is an entry of its own.
pub fn by_utterance(words: usize, people: usize) -> Bytes {
    let entries = (0..words.div_ceil(UTTERANCE)).map(|at| (at % people, at..at + 1));
    file(entries)
}

/// People take turns as well, but all that one of them says is in one entry.
pub fn by_participant(words: usize, people: usize) -> Bytes {
    let utterances = words.div_ceil(UTTERANCE);
    file((0..people).map(|person| (person, (person..utterances).step_by(people))))
}

/// The file, compact as Recall writes it. Utterances are told by their number on the time line.
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
