//! Tests how the habits of each provider look in Recall's format, and what readers see.

use serde_json::{Value, json};

use super::{meeting, render};
use crate::Format;

/// Returns an entry of these words: text, start, end. A negative time is unknown.
fn entry(who: Value, words: &[(&str, f64, f64)]) -> Value {
    let time = |seconds: f64| if seconds < 0.0 { Value::Null } else { json!({"relative": seconds, "absolute": null}) };
    let word = |(text, start, end): &(&str, f64, f64)| {
        let (start, end) = (time(*start), time(*end));
        json!({"text": text, "start_timestamp": start, "end_timestamp": end})
    };
    json!({"participant": who, "language_code": "en", "words": words.iter().map(word).collect::<Vec<_>>()})
}

fn text(entries: &[Value]) -> String {
    let meeting = meeting(json!(entries).to_string().as_bytes(), usize::MAX).expect("a transcript");
    render(&meeting, Format::Txt)
}

#[test]
fn every_provider_is_readable() {
    let ann = || json!({"id": 1, "name": "Ann"});
    for (provider, words, expected) in [
        // Spaces and sounds are separate entries.
        (
            "elevenlabs_async",
            &[("So", 1.0, 1.2), (" ", 1.2, 1.3), ("(sighs)", 1.3, 5.0), (" ", 5.0, 5.1), ("no.", 5.1, 5.4)][..],
            "[00:00:01] Ann: So (sighs) no.\n",
        ),
        // Punctuation and spaces are elements without times.
        (
            "rev_async",
            &[
                ("So", 1.0, 1.2),
                (",", -1.0, -1.0),
                (" ", -1.0, -1.0),
                ("<laugh>", -1.0, -1.0),
                ("no", 2.0, 2.2),
                (".", -1.0, -1.0),
            ],
            "[00:00:01] Ann: So, <laugh> no.\n",
        ),
        // Punctuation takes no time, at the end of the word before it.
        (
            "speechmatics_async",
            &[("So", 1.0, 1.2), (",", 1.2, 1.2), ("no", 1.4, 1.6), ("?", 1.6, 1.6)],
            "[00:00:01] Ann: So, no?\n",
        ),
        // Each word begins with its space.
        (
            "gladia_v2_async",
            &[(" So", 1.0, 1.2), (" it", 1.2, 1.3), ("'s", 1.3, 1.3), (" no.", 1.4, 1.6)],
            "[00:00:01] Ann: So it's no.\n",
        ),
        // Names are redacted, and numbers are written as digits.
        (
            "assembly_ai_async",
            &[("[PERSON_NAME]", 1.0, 1.4), ("owes", 1.4, 1.6), ("####.", 1.7, 1.9)],
            "[00:00:01] Ann: [PERSON_NAME] owes ####.\n",
        ),
        (
            "deepgram_async",
            &[("$5,000", 1.0, 1.6), ("by", 1.6, 1.7), ("4:30", 1.7, 2.2)],
            "[00:00:01] Ann: $5,000 by 4:30\n",
        ),
        // A caption is one entry without an end.
        (
            "meeting_captions",
            &[("So, it is no.", 1.0, -1.0), ("Is it?", 3.0, -1.0)],
            "[00:00:01] Ann: So, it is no. Is it?\n",
        ),
    ] {
        assert_eq!(text(&[entry(ann(), words)]), expected, "{provider}");
    }
}

#[test]
fn machine_diarized_speakers_have_labels() {
    let said = |who: Value, at: f64| entry(who, &[("Yes.", at, at + 0.3)]);
    // Speakers have only a label, or only an id. The same label means the same person.
    let entries = [
        said(json!({"id": null, "name": "A"}), 1.0),
        said(json!({"id": null, "name": "B"}), 2.0),
        said(json!({"id": 0, "name": null}), 3.0),
        said(json!({"id": 1, "name": ""}), 4.0),
        said(json!({"id": null, "name": "A"}), 5.0),
        said(json!({"id": null, "name": null}), 6.0),
    ];
    let labels = text(&entries);
    let labels: Vec<_> = labels.lines().map(|line| line.trim_end_matches(": Yes.").split_at(11).1).collect();
    assert_eq!(labels, ["A", "B", "Speaker 0", "Speaker 1", "A", "Unknown speaker"]);
}
