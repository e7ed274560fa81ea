//! Writes a document for readers: front matter for programs, then title, date, duration and people, then the
//! conversation.
//!
//! Everything that was said is text, and so is every name: characters that Markdown or HTML would take for markup are
//! escaped, including those of bare URLs. GitHub finds addresses, mentions and issue references even in escaped text,
//! so these are written as code.

mod front_matter;

use std::{fmt::Write, ops::Range};

use self::front_matter::write_front_matter;
use super::{Hms, Meeting, Renderer, Speaker, Turn};

#[derive(Debug)]
pub(super) struct Md;

impl Renderer for Md {
    fn begin(&mut self, meeting: &Meeting, out: &mut String) {
        write_front_matter(meeting, out);
        out.push_str("# ");
        escape(meeting.info().title().unwrap_or("Transcript"), out);
        out.push_str("\n\n");
        write_facts(meeting, out);
        if meeting.is_empty() {
            out.push_str("Nobody said a word.\n");
        }
        write_people(meeting, out);
    }

    fn turn(&mut self, meeting: &Meeting, turn: &Turn, out: &mut String) {
        out.push_str("\n**");
        escape(meeting.label(turn), out);
        let _ = match turn.timed {
            true => write!(out, "** ({}): ", Hms(turn.span.start_ms)),
            false => write!(out, "**: "),
        };
        escape(&turn.text, out);
        out.push('\n');
    }
}

/// Writes the date, the duration, the platform and the languages, as far as they are known.
fn write_facts(meeting: &Meeting, out: &mut String) {
    if let Some(started_at) = meeting.info().started_at {
        // For example 2026-11-23T09:30:00.000Z.
        let text = started_at.rfc3339();
        let (date, time) = text.split_once('T').unwrap_or((&text, ""));
        let _ = writeln!(out, "- Date: {date}, {} UTC", time.get(..5).unwrap_or(time));
    }
    if meeting.length_ms() > 0 {
        let _ = writeln!(out, "- Duration: {}", Hms::of(meeting.length_ms()));
    }
    if let Some(platform) = meeting.info().platform_name() {
        out.push_str("- Platform: ");
        escape(&platform, out);
        out.push('\n');
    }
    let mut before = "- Languages: ";
    for code in meeting.language_codes() {
        out.push_str(before);
        escape(code, out);
        before = ", ";
    }
    out.push_str(if before == ", " { "\n\n" } else { "\n" });
}

/// Writes everyone who attended: how long they were there, if that is known of anyone, and how much they said.
fn write_people(meeting: &Meeting, out: &mut String) {
    let mut people = meeting.speakers().iter().peekable();
    if people.peek().is_none() {
        return;
    }
    if meeting.is_empty() {
        out.push('\n');
    }
    let has_presence = meeting.speakers().iter().any(|person| person.presence.present_ms.is_some());
    out.push_str(match has_presence {
        true => "| Participant | Present | Talk time | Words |\n|---|--:|--:|--:|\n",
        false => "| Participant | Talk time | Words |\n|---|--:|--:|\n",
    });
    for person in people {
        write_person(person, has_presence, out);
    }
    let others = meeting.silent_over_limit();
    if others > 0 {
        let _ = writeln!(out, "\nOthers who attended: {others}");
    }
}

fn write_person(person: &Speaker, has_presence: bool, out: &mut String) {
    out.push_str("| ");
    escape(&person.label, out);
    out.push_str(if person.is_host { " (host) |" } else { " |" });
    if has_presence {
        let present = person.presence.present_ms.map_or_else(|| "–".to_owned(), |ms| Hms::of(ms).to_string());
        let _ = write!(out, " {present} |");
    }
    if person.words > 0 {
        let about = if person.estimated { "~" } else { "" };
        let _ = writeln!(out, " {about}{} | {} |", Hms::of(person.talk_ms), person.words);
    } else {
        out.push_str(" – | – |\n");
    }
}

/// Appends text so that a Markdown reader shows it unchanged.
fn escape(mut text: &str, out: &mut String) {
    while let Some(Range { start, end }) = find_reference(text) {
        escape_marks(text.get(..start).unwrap_or_default(), out);
        let _ = write!(out, "`{}`", text.get(start..end).unwrap_or_default());
        text = text.get(end..).unwrap_or_default();
    }
    escape_marks(text, out);
}

/// Returns the range of the first reference such as `ann@example.com`, `@ann` or `owner/repo#12`, up to a space or
/// another mark.
fn find_reference(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let at = bytes.windows(2).position(|pair| match pair {
        [b'@', next] => next.is_ascii_alphanumeric() || matches!(next, b'_' | b'-'),
        [b'#', next] => next.is_ascii_digit(),
        _ => false,
    })?;
    let other = |byte: &u8| !byte.is_ascii_alphanumeric() && !b"._-+/@#".contains(byte);
    let start = bytes.get(..at)?.iter().rposition(other).map_or(0, |before| before + 1);
    let end = bytes.iter().skip(at).position(other).map_or(text.len(), |length| at + length);
    let trailing = |c| matches!(c, '.' | '+' | '/' | '@' | '#');
    Some(start..start + text.get(start..end)?.trim_end_matches(trailing).len())
}

/// Escapes all markup, but no references.
pub(super) fn escape_marks(text: &str, out: &mut String) {
    let special = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b' ' && b"\\`*_[]<>#|~$&:.".contains(byte);
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| special(byte)) {
        let (before, rest) = (text.get(from..at).unwrap_or_default(), text.get(at..).unwrap_or_default());
        let escaped = match byte {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'&' if is_entity(rest) => "&amp;",
            b'&' => continue,
            // Some readers take this for a link.
            b':' if rest.starts_with("://") => "\\:",
            b'.' if ends_in_www(before) => "\\.",
            b':' | b'.' => continue,
            _ => {
                out.push_str(before);
                out.push('\\');
                from = at;
                continue;
            }
        };
        out.push_str(before);
        out.push_str(escaped);
        from = at + 1;
    }
    out.push_str(text.get(from..).unwrap_or_default());
}

/// Returns whether the text begins with an HTML entity such as `&amp;`. The entity need not exist.
pub(super) fn is_entity(rest: &str) -> bool {
    let end = rest.bytes().skip(1).position(|byte| !byte.is_ascii_alphanumeric() && byte != b'#');
    end.is_some_and(|end| end > 0 && rest.as_bytes().get(end + 1) == Some(&b';'))
}

fn ends_in_www(text: &str) -> bool {
    text.len().checked_sub(3).and_then(|at| text.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case("www"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_text_is_escaped() {
        for (text, expected) in [
            ("plain, with 1.5 and 10:30 - ok (yes) + R&D!", "plain, with 1.5 and 10:30 - ok (yes) + R&D!"),
            ("*a* _b_ `c` #d |e| ~~f~~ $g$ \\", "\\*a\\* \\_b\\_ \\`c\\` \\#d \\|e\\| \\~\\~f\\~\\~ \\$g\\$ \\\\"),
            ("<script>", "&lt;script&gt;"),
            ("a &amp; b &#x41; &", "a &amp;amp; b &amp;\\#x41; &"),
            ("[x](http://y.example)", "\\[x\\](http\\://y.example)"),
            ("WWW.example.com 。www.", "WWW\\.example.com 。www\\."),
            ("日本 *語*", "日本 \\*語\\*"),
            ("Mail jane_d.oe@x.example, or é@b.c.", "Mail `jane_d.oe@x.example`, or é`@b.c`."),
            ("ftp://me@x.example/y?z", "ftp:`//me@x.example/y`?z"),
            ("@ann and @org/team.", "`@ann` and `@org/team`."),
            ("we're #1, not o/r#23# or C# @ #home", "we're `#1`, not `o/r#23`\\# or C\\# @ \\#home"),
            ("`a@b.c``d@e", "\\``a@b.c`\\`\\``d@e`"),
        ] {
            let mut out = String::new();
            escape(text, &mut out);
            assert_eq!(out, expected);
        }
    }
}
