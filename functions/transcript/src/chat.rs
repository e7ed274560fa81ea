//! Texts for chat: one line and a few sentences about an announcement. The rule that forwards them to a chat cannot
//! format, choose or escape, so the texts are never empty, have limited lengths, and contain nothing that a chat or
//! JSON would interpret.

use std::fmt::Write as _;

use job::{Announcement, Notice, Status};

const MAX_HEADLINE_CHARS: usize = 200;
const MAX_SUMMARY_CHARS: usize = 1_000;

/// Returns one line that says what happened.
pub(crate) fn headline(announcement: &Announcement) -> String {
    let title = announcement.title.as_deref().map(plain).filter(|title| !title.is_empty());
    let what = match announcement.notice {
        Notice::Stored { .. } => "Transcript stored",
        Notice::Failed { status, .. } => end(status),
        Notice::Expiring => "Recording expires without a transcript",
    };
    let line = match title {
        Some(title) => format!("{what}: {title}"),
        None => what.to_owned(),
    };
    shortened(line, MAX_HEADLINE_CHARS)
}

/// Returns a few sentences with the numbers and the ids.
pub(crate) fn summary(announcement: &Announcement) -> String {
    let mut text = String::new();
    if let Some(counts) = &announcement.counts {
        let minutes = (counts.duration_s / 60.0).round();
        let _ = write!(
            text,
            "{} words by {} {} in {minutes} min. ",
            counts.words,
            counts.speakers,
            if counts.speakers == 1 { "speaker" } else { "speakers" }
        );
    }
    let _ = write!(text, "Status: {}. ", plain(announcement.status.as_str()));
    if let Some(provider) = &announcement.provider {
        let _ = write!(text, "Provider: {}. ", plain(provider));
    }
    if let Some(attempt) = announcement.attempt {
        let _ = write!(text, "Attempt: {attempt}. ");
    }
    if let Some(sub_code) = &announcement.sub_code {
        let _ = write!(text, "Reason: {}. ", plain(sub_code));
    }
    if let Some(expires_at) = &announcement.expires_at {
        let _ = write!(text, "Recall deletes the recording at {}. ", plain(expires_at));
    }
    let _ = write!(text, "Recording: {}.", announcement.recording_id);
    shortened(text, MAX_SUMMARY_CHARS)
}

/// Says how a job ended without a transcript.
fn end(status: Status) -> &'static str {
    match status {
        Status::LimitReached => "No transcript: the limit of transcripts is reached",
        Status::Lost => "No transcript: Recall no longer has the recording",
        Status::Failed
        | Status::Creating
        | Status::Transcribing
        | Status::Copying
        | Status::Waiting
        | Status::Stored
        | Status::Skipped => "Transcript failed",
    }
}

/// Returns the text as one line of plain words. A character that chats take for markup or a mention, or that JSON would
/// escape, becomes one that looks similar.
fn plain(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars() {
        let replaced = match character {
            '"' | '`' => '\'',
            '\\' => '/',
            '<' | '[' | '{' => '(',
            '>' | ']' | '}' => ')',
            '&' => '+',
            '@' => '＠',
            '#' => '＃',
            '*' => '∗',
            '_' => '＿',
            '~' => '∼',
            '|' => '¦',
            '$' => '＄',
            c if c.is_control() || c.is_whitespace() || is_invisible(c) => ' ',
            c => c,
        };
        if replaced != ' ' || !(line.is_empty() || line.ends_with(' ')) {
            line.push(replaced);
        }
    }
    // Chats make links of names with dots, and of words before a colon.
    let line = line.trim_end();
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut safe = String::new();
    for (at, c) in line.char_indices() {
        let before = safe.chars().next_back();
        let after = line.get(at + c.len_utf8()..).and_then(|rest| rest.chars().next());
        safe.push(match c {
            '.' if is_word(before) && is_word(after) => '․',
            ':' if after.is_some_and(|c| c != ' ') => '∶',
            c => c,
        });
    }
    safe
}

/// Returns whether a character has no shape of its own, and may change the order or the shape of others.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn shortened(text: String, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text;
    }
    let mut short: String = text.chars().take(max_chars - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use job::{
        ids::{RecordingId, TranscriptId},
        samples,
    };

    use super::*;

    fn announcement(notice: Notice, title: Option<&str>) -> Announcement {
        let job = job::Job::new(RecordingId::from_u128(7));
        Announcement {
            id: "x".to_owned(),
            detail_type: "Transcript Stored",
            notice,
            recording_id: job.recording_id,
            transcript_id: Some(samples::OURS),
            bot_id: None,
            status: Status::Stored,
            provider: Some("recallai_async".to_owned()),
            attempt: Some(2),
            sub_code: None,
            manifest_key: Some("k".to_owned()),
            counts: Some(job::Counts { turns: 3, words: 1200, speakers: 1, duration_ms: 90_000 }.into()),
            title: title.map(str::to_owned),
            expires_at: None,
        }
    }

    fn stored(title: Option<&str>) -> Announcement {
        announcement(Notice::Stored { transcript_id: TranscriptId::from_u128(1) }, title)
    }

    #[test]
    fn texts_say_what_happened() {
        let found = stored(Some("Weekly review"));
        assert_eq!(headline(&found), "Transcript stored: Weekly review");
        assert_eq!(
            summary(&found),
            "1200 words by 1 speaker in 2 min. Status: stored. Provider: recallai＿async. Attempt: 2. \
             Recording: 00000000-0000-0000-0000-000000000007."
        );
        assert_eq!(headline(&stored(None)), "Transcript stored");
        assert_eq!(headline(&stored(Some(" \n\u{200b}"))), "Transcript stored");
        let lost = announcement(Notice::Failed { status: Status::Lost, end: 1 }, None);
        assert_eq!(headline(&lost), "No transcript: Recall no longer has the recording");
    }

    /// A template puts the texts into JSON as they are, and a chat shows them as they are.
    #[test]
    fn texts_contain_nothing_that_json_or_a_chat_interprets() {
        let nasty =
            "a \"b\" \\ <!channel> <@U1> @here [x](https://evil.example) *b* _i_ ~s~ `c` #1 &lt; |\n{}\u{202e}$x";
        let bare = Announcement { title: Some(nasty.to_owned()), sub_code: Some(nasty.to_owned()), ..stored(None) };
        for text in [headline(&bare), summary(&bare)] {
            for bad in
                ["\"", "\\", "<", ">", "@", "[", "]", "*", "_", "~", "`", "#", "&", "|", "\n", "{", "://", "\u{202e}"]
            {
                assert!(!text.contains(bad), "{bad:?} in {text}");
            }
            let quoted = format!("{{\"text\": \"{text}\"}}");
            let parsed: serde_json::Value = serde_json::from_str(&quoted).expect("valid JSON");
            assert_eq!(parsed["text"], text);
        }
    }

    #[test]
    fn texts_are_bounded_and_never_empty() {
        let long = "é".repeat(5_000);
        let bare = Announcement { sub_code: Some(long.clone()), counts: None, ..stored(Some(&long)) };
        assert_eq!((headline(&bare).chars().count(), summary(&bare).chars().count()), (200, 1_000));
        for notice in [Notice::Expiring, Notice::Failed { status: Status::Failed, end: 1 }] {
            let bare = Announcement { counts: None, provider: None, attempt: None, ..announcement(notice, None) };
            assert!(!headline(&bare).is_empty() && !summary(&bare).is_empty());
        }
    }
}
