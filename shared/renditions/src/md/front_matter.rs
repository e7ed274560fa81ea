//! Writes the front matter of the document: YAML that every parser of version 1.1 or 1.2 reads back unchanged.
//!
//! Every text is in double quotes, so that no parser takes it for a number, a date, a Boolean or markup.

use std::fmt::{Display, Formatter, Result, Write};

use job::time::Timestamp;

use crate::{Hms, Meeting, MeetingInfo, meeting::seconds_of};

/// Writes what identifies and describes the meeting. What is not known is left out.
pub(super) fn write_front_matter(meeting: &Meeting, out: &mut String) {
    let info = meeting.info();
    let MeetingInfo { recording_id, transcript_id, bot_id, platform, meeting_id, date, .. } = info;
    let length_ms = Some(meeting.length_ms()).filter(|length_ms| *length_ms > 0);
    let started_at = info.started_at.map(Timestamp::rfc3339);
    out.push_str("---\n");
    write_text("title", info.title(), out);
    write_text("date", Some(date), out);
    write_text("started_at", started_at.as_deref(), out);
    write_text("duration", length_ms.map(|length_ms| Hms::of(length_ms).to_string()).as_deref(), out);
    if let Some(length_ms) = length_ms {
        let _ = writeln!(out, "duration_s: {}", seconds_of(length_ms));
    }
    write_text("platform", platform.as_deref(), out);
    write_text("meeting_id", meeting_id.as_deref(), out);
    write_text("recording_id", Some(&recording_id.to_string()), out);
    write_text("transcript_id", Some(&transcript_id.to_string()), out);
    write_text("bot_id", bot_id.map(|bot_id| bot_id.to_string()).as_deref(), out);
    write_list("language_codes", meeting.language_codes(), out);
    write_list("participants", meeting.attendees().map(|person| &*person.label), out);
    if !info.metadata.is_empty() {
        out.push_str("tags:\n");
        for (key, value) in &info.metadata {
            let _ = writeln!(out, "  {}: {}", Quoted(key), Quoted(value));
        }
    }
    out.push_str("---\n\n");
}

fn write_text(key: &str, text: Option<&str>, out: &mut String) {
    if let Some(text) = text {
        let _ = writeln!(out, "{key}: {}", Quoted(text));
    }
}

fn write_list<'a>(key: &str, texts: impl Iterator<Item = &'a str>, out: &mut String) {
    let mut texts = texts.peekable();
    if texts.peek().is_some() {
        let _ = writeln!(out, "{key}:");
    }
    for text in texts {
        let _ = writeln!(out, "  - {}", Quoted(text));
    }
}

/// A text in double quotes. Characters that are not printable in YAML, or that YAML 1.1 takes for a line break, are
/// escaped in a form that JSON has, too.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                _ if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                    write!(f, "\\u{:04x}", u32::from(c))?;
                }
                _ => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests;
