//! Writes a document for knowledge bases, which cut it into chunks of some hundred tokens.
//!
//! A heading says who speaks and when. It is repeated at least every 1,000 characters, which are about 250 tokens of
//! English, so that every chunk says it, too. A character of another script may be more than a token, so such
//! characters count several times, and the heading is repeated more often.

mod sidecar;

use std::fmt::Write;

pub use self::sidecar::knowledge_sidecar;
use super::{
    Hms, Meeting, Renderer, Speaker, Turn,
    md::escape_marks,
    punctuation::{Ending, ending},
    words::is_grapheme_boundary,
};

/// The maximum cost of everything from one heading to the next: the number of ASCII characters, if there are no others.
const MAX_SECTION_COST: usize = 1_000;
/// The cost of a character of an alphabet like Greek, Cyrillic, Hebrew or Arabic, which is about half a token.
const ALPHABET_COST: usize = 2;
/// The cost of a character of any other script, most of which have no spaces, and of a symbol. Such a character is up
/// to one and a half tokens.
const OTHER_SCRIPT_COST: usize = 6;
/// The maximum number of characters of a name in a heading.
const MAX_HEADING_NAME_CHARS: usize = 80;
/// The line feeds around a paragraph, and a backslash at its start.
const PARAGRAPH_CHARS: usize = 3;
/// The maximum cost of the line with the number of people who are not listed.
const MAX_NUMBER_COST: usize = 40;
/// Turns of one speaker share a heading only for this long, so that its time is right.
const MAX_SECTION_MS: u32 = 60_000;

/// Makes a renderer for the document of one meeting.
pub fn knowledge_renderer() -> Box<dyn Renderer> {
    Box::new(Knowledge::default())
}

#[derive(Debug, Default)]
struct Knowledge {
    open: Option<Section>,
}

/// The text under a heading, which more text may follow.
#[derive(Debug)]
struct Section {
    speaker: usize,
    timed: bool,
    start_ms: u32,
    /// The cost of what may follow.
    room: usize,
}

impl Renderer for Knowledge {
    fn begin(&mut self, meeting: &Meeting, out: &mut String) {
        let info = meeting.info();
        out.push_str("# ");
        escape_marks(info.title().unwrap_or("Transcript"), out);
        out.push_str("\n\n");
        if let Some(started_at) = info.started_at {
            let _ = writeln!(out, "- Start: {}", started_at.rfc3339());
        }
        if meeting.length_ms() > 0 {
            let _ = writeln!(out, "- Duration: {}", Hms::of(meeting.length_ms()));
        }
        if let Some(platform) = info.platform_name() {
            out.push_str("- Platform: ");
            escape_marks(&shortened(&platform), out);
            out.push('\n');
        }
        write_people(meeting, out);
    }

    fn turn(&mut self, meeting: &Meeting, turn: &Turn, out: &mut String) {
        let needed = cost(&turn.text);
        let fits = |open: &&mut Section| {
            let is_soon = !turn.timed || turn.span.start_ms.saturating_sub(open.start_ms) < MAX_SECTION_MS;
            open.speaker == turn.speaker && open.timed == turn.timed && is_soon && needed <= open.room
        };
        if let Some(open) = self.open.as_mut().filter(fits) {
            open.room -= needed;
            write_paragraph(&turn.text, out);
            return;
        }
        let mut from = 0;
        loop {
            let start_ms = turn.words.iter().find(|word| word.range.end > from).map_or(0, |word| word.span.start_ms);
            let heading = heading(meeting, turn, start_ms);
            let room = MAX_SECTION_COST.saturating_sub(written_cost(&heading));
            out.push_str(&heading);
            let to = end_of_piece(turn, from, room.saturating_sub(PARAGRAPH_CHARS));
            let piece = turn.text.get(from..to).unwrap_or_default().trim();
            write_paragraph(piece, out);
            if to >= turn.text.len() {
                let room = room.saturating_sub(cost(piece));
                self.open = Some(Section { speaker: turn.speaker, timed: turn.timed, start_ms, room });
                return;
            }
            from = to;
        }
    }
}

fn heading(meeting: &Meeting, turn: &Turn, start_ms: u32) -> String {
    let mut heading = String::from("\n## ");
    escape_marks(&shortened(meeting.label(turn)), &mut heading);
    let date = &meeting.info().date;
    let _ = match turn.timed {
        true => writeln!(heading, " ({date}, {})", Hms(start_ms)),
        false => writeln!(heading, " ({date})"),
    };
    heading
}

/// Returns a name that is short enough for a heading.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(MAX_HEADING_NAME_CHARS) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// Writes everyone who attended, under as many headings as are needed.
fn write_people(meeting: &Meeting, out: &mut String) {
    let heading = format!("\n## Participants ({})\n\n", meeting.info().date);
    let mut room = 0;
    for person in meeting.speakers() {
        let mut item = String::from("- ");
        escape_marks(&shortened(&person.label), &mut item);
        item.push_str(note(person));
        item.push('\n');
        let needed = written_cost(&item);
        if needed > room {
            out.push_str(&heading);
            // The last item may be followed by the number of people who are not listed.
            room = MAX_SECTION_COST.saturating_sub(written_cost(&heading) + MAX_NUMBER_COST);
        }
        out.push_str(&item);
        room = room.saturating_sub(needed);
    }
    let others = meeting.silent_over_limit();
    if others > 0 {
        let _ = writeln!(out, "- and {others} more");
    }
}

fn note(person: &Speaker) -> &'static str {
    match (person.is_host, person.words > 0) {
        (true, true) => " (host)",
        (true, false) => " (host, did not speak)",
        (false, true) => "",
        (false, false) => " (did not speak)",
    }
}

/// Returns where the piece of a turn ends that begins at this byte and costs at most so much. It ends with a
/// sentence, or with a word, or within a word that is too long.
fn end_of_piece(turn: &Turn, from: usize, room: usize) -> usize {
    let text = turn.text.get(from..).unwrap_or_default();
    let (mut used, mut fits) = (0, 0);
    for (at, c) in text.char_indices() {
        used += char_cost(c);
        if used > room {
            break;
        }
        fits = at + c.len_utf8();
    }
    if fits == text.len() {
        return turn.text.len();
    }
    let most = from + fits;
    let words = turn.words.iter().map(|word| &word.range).filter(|range| range.end > from && range.end <= most);
    let ends_sentence = |end: &usize| {
        let range = turn.words.iter().map(|word| &word.range).find(|range| range.end == *end);
        range.and_then(|range| turn.text.get(range.clone())).is_some_and(|word| ending(word) == Ending::Sentence)
    };
    let ends: Vec<usize> = words.map(|range| range.end).collect();
    let late = ends.iter().copied().rev().take_while(|end| *end > from + fits / 2);
    let sentence = late.clone().find(ends_sentence);
    sentence.or(ends.last().copied()).unwrap_or_else(|| {
        let mut within = (from + fits / 2 + 1..=most).rev().filter(|at| turn.text.is_char_boundary(*at));
        within.find(|at| is_grapheme_boundary(&turn.text, *at)).unwrap_or(most)
    })
}

/// Writes text as a paragraph in which nothing is markup.
fn write_paragraph(text: &str, out: &mut String) {
    out.push('\n');
    // At the start of a line, these characters would begin a list or a line.
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    match rest.bytes().next() {
        Some(b'-' | b'+' | b'=') if digits == 0 => out.push('\\'),
        Some(b'.' | b')') if digits > 0 => {
            out.push_str(number);
            out.push('\\');
            escape_marks(rest, out);
            out.push('\n');
            return;
        }
        _ => {}
    }
    escape_marks(text, out);
    out.push('\n');
}

/// Returns what a paragraph of this text costs at most when it is escaped, with its line feeds and the backslash at its
/// start.
fn cost(text: &str) -> usize {
    text.chars().map(char_cost).sum::<usize>() + PARAGRAPH_CHARS
}

/// Returns the cost of a character of a paragraph when it is escaped.
fn char_cost(c: char) -> usize {
    match c {
        '&' => 5,
        '<' | '>' => 4,
        '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '$' | ':' | '.' => 2,
        _ => written_char_cost(c),
    }
}

/// Returns the cost of text that is escaped.
fn written_cost(text: &str) -> usize {
    text.chars().map(written_char_cost).sum()
}

fn written_char_cost(c: char) -> usize {
    match c {
        '\0'..='\u{7F}' => 1,
        // The second range has dashes and quotation marks.
        '\u{80}'..='\u{7FF}' | '\u{2000}'..='\u{206F}' => ALPHABET_COST,
        _ => OTHER_SCRIPT_COST,
    }
}

#[cfg(test)]
mod tests;
