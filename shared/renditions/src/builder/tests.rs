//! Tests how entries become turns.

use job::ids::{RecordingId, TranscriptId};

use super::{open_turn::HARD_TURN_BYTES, *};

fn built(fill: impl FnOnce(&mut MeetingBuilder)) -> Result<Meeting, String> {
    let mut builder = MeetingBuilder::default();
    fill(&mut builder);
    let (recording_id, transcript_id) = (RecordingId::from_u128(1), TranscriptId::from_u128(2));
    builder.finish(MeetingInfo::new(recording_id, transcript_id, String::new()), Attendance::default()).2
}

fn say(builder: &mut MeetingBuilder, id: &str, words: &[(&str, u32, u32)]) {
    builder.begin_entry();
    for (text, start_ms, end_ms) in words {
        builder.set_word_text(text);
        builder.end_word(Some(*start_ms), Some(*end_ms));
    }
    builder.end_entry(&Participant { id: Some(id.to_owned()), ..Participant::default() }, None);
}

fn turns(meeting: &Meeting) -> Vec<(usize, String, u32, u32)> {
    meeting.turns().map(|turn| (turn.speaker, turn.text, turn.span.start_ms, turn.span.end_ms)).collect()
}

#[test]
fn entries_are_cut_at_pauses_and_sorted_by_time() {
    let meeting = built(|builder| {
        say(builder, "1", &[("a", 0, 500), ("b", 3499, 3600), ("c", 6600, 6700), ("!", 20_000, 20_100)]);
        say(builder, "2", &[("d", 2000, 90_000), ("e", 5000, 5100), ("", 9000, 9100), ("f", 8100, 8200)]);
        say(builder, "3", &[("", 1, 2)]);
    });
    let expected = [(0, "a b", 0, 3600), (1, "d e", 2000, 5100), (0, "c!", 6600, 20_100), (1, "f", 8100, 8200)];
    let turns = turns(&meeting.expect("a meeting"));
    assert_eq!(turns, expected.map(|(who, text, start_ms, end_ms)| (who, text.to_owned(), start_ms, end_ms)));
}

#[test]
fn long_turns_end_with_a_sentence_or_at_the_limit() {
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
fn oversized_meeting_is_not_rendered_but_counted() {
    let mut builder = MeetingBuilder::default();
    for id in 0..900 {
        say(&mut builder, &id.to_string(), &[("x".repeat(20_000).as_str(), 0, 1)]);
    }
    assert_eq!(builder.compact.bytes(), 0);
    let (recording_id, transcript_id) = (RecordingId::from_u128(1), TranscriptId::from_u128(2));
    let info = MeetingInfo::new(recording_id, transcript_id, String::new());
    let (counts, _, meeting) = builder.finish(info, Attendance::default());
    assert_eq!((counts.speakers, counts.words, counts.duration_ms), (900, 900, 1));
    assert!(meeting.expect_err("too large").contains("bytes"));
}

#[test]
fn memory_limit_holds_within_one_entry() {
    for (text, step_ms) in [("a", 10_000), ("a", 100)] {
        let mut builder = MeetingBuilder::default();
        builder.begin_entry();
        let mut most = 0;
        for n in 0..6_000_000_u32 {
            builder.set_word_text(text);
            // Either every word has a time, or none has.
            let at = (step_ms == 10_000).then_some(n.wrapping_mul(step_ms) % 2_000_000_000);
            builder.end_word(at, at);
            most = most.max(builder.compact.bytes());
        }
        builder.end_entry(&Participant::default(), None);
        assert!(most <= MAX_MEETING_BYTES + (1 << 20), "{most}");
        assert!(builder.records.capacity() * size_of::<TurnRecord>() <= 2 * MAX_MEETING_BYTES);
        assert!(built(|other| *other = builder).is_err(), "{text} {step_ms}");
    }
}

#[test]
fn day_of_speech_takes_little_memory_with_any_entry_length() {
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
