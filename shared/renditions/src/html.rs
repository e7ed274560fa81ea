//! Writes one self-contained page to read, search, print, link to a moment, and follow along with a local recording.
//!
//! The page loads nothing, and its policy enforces that: style and script are allowed by their hashes, and the words
//! appear only as escaped text. Reading, printing and linking work without the script.

mod attendees;
mod chart;
mod text;

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};

use self::{
    attendees::{silent, write_attendees},
    chart::Chart,
    text::{Escaped, clock, counted, day_and_time, language, length},
};
use super::{Meeting, Renderer, Turn};

pub(super) const STYLE: &str = include_str!("html/page.css");
pub(super) const SCRIPT: &str = include_str!("html/page.js");

/// The number of colors in the style. Speakers share them beyond that, in order of how long they spoke.
const COLORS: usize = 12;
/// Turns are grouped into blocks of five minutes. Each block has a heading, and the browser lays it out as a unit.
const BLOCK_MS: u32 = 5 * 60 * 1000;
/// People who take turns overlap by less than this. A longer overlap counts as speech at the same time.
const OVERLAP_MS: u32 = 500;

#[derive(Debug, Default)]
pub(super) struct Html {
    chart: Chart,
    /// Whether the whole meeting is in one language. Then only the section has the `lang` attribute.
    one_language: bool,
    /// The number of the open block.
    open_block: Option<u32>,
    /// The last speaker in the block.
    last_speaker: Option<usize>,
    /// The latest end so far, and the speaker of that turn.
    furthest: Option<(u32, usize)>,
    /// The last second that is the id of an element.
    last_second_id: Option<u32>,
    /// The last millisecond that is the id of an element.
    last_millis_id: Option<u32>,
}

impl Renderer for Html {
    fn begin(&mut self, meeting: &Meeting, out: &mut String) {
        self.chart = Chart::of(meeting);
        write_head(meeting, &self.chart, out);
        if meeting.is_empty() {
            out.push_str(
                "<main id=\"words\" tabindex=\"-1\">\n<p class=\"silence\">Nobody spoke in this recording.</p>\n",
            );
            write_attendees(meeting, &self.chart, out);
            return;
        }
        write_search_bar(&self.chart, out);
        out.push_str("<main>\n");
        self.chart.write(meeting, out);
        write_attendees(meeting, &self.chart, out);
        out.push_str("<section class=\"words\" id=\"words\" tabindex=\"-1\" aria-labelledby=\"said\"");
        if let Some(code) = one_language(meeting) {
            self.one_language = true;
            put(out, format_args!(" lang=\"{code}\""));
        }
        out.push_str(">\n<h2 id=\"said\" lang=\"en\">What was said</h2>\n");
    }

    fn turn(&mut self, meeting: &Meeting, turn: &Turn, out: &mut String) {
        let start_ms = turn.span.start_ms;
        self.open_block(start_ms, out);
        let continues = self.last_speaker == Some(turn.speaker);
        let overlapped = self.furthest.filter(|&(end_ms, speaker)| {
            turn.timed && speaker != turn.speaker && end_ms >= start_ms.saturating_add(OVERLAP_MS)
        });
        put(
            out,
            format_args!(
                "<div class=\"turn c{}{}{}\" data-s=\"{}\"",
                self.chart.color(turn.speaker),
                if continues { " more" } else { "" },
                if overlapped.is_some() { " over" } else { "" },
                turn.speaker
            ),
        );
        self.write_time(turn, out);
        if !continues {
            put(out, format_args!("<b><bdi>{}</bdi>", Escaped(meeting.label(turn))));
            if let Some(other) = overlapped.and_then(|(_, speaker)| meeting.speakers().get(speaker)) {
                put(out, format_args!(" <small lang=\"en\">while <bdi>{}</bdi> speaks</small>", Escaped(&other.label)));
            }
            out.push_str("</b>");
        }
        out.push_str("<p dir=\"auto\"");
        if !self.one_language
            && let Some(code) = turn.language_code.as_deref().and_then(language)
        {
            put(out, format_args!(" lang=\"{code}\""));
        }
        put(out, format_args!(">{}</p></div>\n", Escaped(&turn.text)));

        self.last_speaker = Some(turn.speaker);
        if turn.timed && self.furthest.is_none_or(|(end_ms, _)| turn.span.end_ms > end_ms) {
            self.furthest = Some((turn.span.end_ms, turn.speaker));
        }
    }

    fn end(&mut self, meeting: &Meeting, out: &mut String) {
        if self.open_block.is_some() {
            out.push_str("</section>\n</section>\n");
        }
        let info = meeting.info();
        put(
            out,
            format_args!(
                "</main>\n<footer><p>Recording <code>{}</code><br>Transcript <code>{}</code></p></footer>\n",
                info.recording_id, info.transcript_id
            ),
        );
        if !meeting.is_empty() {
            out.push_str(
                "<aside class=\"dock\" aria-label=\"Recording\" hidden><video controls playsinline></video></aside>\n",
            );
            put(out, format_args!("<script>{SCRIPT}</script>\n"));
        }
        out.push_str("</body>\n</html>\n");
    }
}

impl Html {
    fn open_block(&mut self, start_ms: u32, out: &mut String) {
        let block = start_ms / BLOCK_MS;
        if self.open_block.is_some_and(|open| block <= open) {
            return;
        }
        if self.open_block.is_some() {
            out.push_str("</section>\n");
        }
        if self.chart.timed {
            let second = block * (BLOCK_MS / 1000);
            let at = clock(block * BLOCK_MS, self.chart.hours);
            put(
                out,
                format_args!(
                    "<section class=\"block\" id=\"t={second}\" aria-labelledby=\"b{block}\">\n\
                     <h3 id=\"b{block}\" lang=\"en\">{at}</h3>\n"
                ),
            );
            self.last_second_id = Some(second);
        } else {
            out.push_str("<section class=\"block\">\n");
        }
        self.open_block = Some(block);
        self.last_speaker = None;
    }

    /// Writes the rest of the turn's tag and the link to the turn. The link has the second of the turn, or its
    /// millisecond if the second is taken. It is also the id of the turn, so it works without the script.
    fn write_time(&mut self, turn: &Turn, out: &mut String) {
        if !turn.timed {
            out.push_str("><span class=\"at\">–</span>");
            return;
        }
        let start_ms = turn.span.start_ms;
        let second = start_ms / 1000;
        let mut moment = format!("t={second}");
        if self.last_second_id.is_none_or(|taken| taken < second) {
            self.last_second_id = Some(second);
            put(out, format_args!(" id=\"{moment}\""));
        } else if !start_ms.is_multiple_of(1000) {
            put(&mut moment, format_args!(".{:03}", start_ms % 1000));
            if self.last_millis_id != Some(start_ms) {
                put(out, format_args!(" id=\"{moment}\""));
            }
            self.last_millis_id = Some(start_ms);
        }
        let shown = clock(start_ms, self.chart.hours);
        put(out, format_args!(" data-at=\"{start_ms}\"><a class=\"at\" href=\"#{moment}\">{shown}</a>"));
    }
}

/// Writes everything before the search field.
fn write_head(meeting: &Meeting, chart: &Chart, out: &mut String) {
    let info = meeting.info();
    let title = Escaped(info.title().unwrap_or("Transcript"));
    put(
        out,
        format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; \
             script-src 'sha256-{}'; media-src blob:; base-uri 'none'; form-action 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#words\">Skip to what was said</a>\n\
             <header class=\"intro\">\n<h1 dir=\"auto\">{title}</h1>\n<p class=\"facts\">",
            hash(STYLE),
            hash(SCRIPT),
        ),
    );
    if let Some(at) = info.started_at {
        put(out, format_args!("<span><time datetime=\"{}\">{}</time></span> ", at.rfc3339(), day_and_time(at)));
    }
    if chart.timed || info.recording_ms().is_some() {
        let length_ms = u32::try_from(meeting.length_ms()).unwrap_or(u32::MAX);
        put(out, format_args!("<span>{}</span> ", length(length_ms)));
    }
    if let Some(platform) = info.platform_name() {
        put(out, format_args!("<span>{}</span> ", Escaped(&platform)));
    }
    if silent(meeting) > 0 {
        let people = meeting.attendees().count() + meeting.participants_over_limit;
        put(out, format_args!("<span>{}</span> ", counted(people as u64, "person", "people")));
    }
    if !meeting.is_empty() {
        let words = meeting.speakers().iter().map(|speaker| speaker.words).sum();
        put(
            out,
            format_args!(
                "<span>{}</span> <span>{}</span>",
                counted(chart.speakers() as u64, "speaker", "speakers"),
                counted(words, "word", "words")
            ),
        );
    }
    out.push_str("</p>\n");
    if !meeting.is_empty() {
        out.push_str(
            "<p class=\"tools\"><button type=\"button\" class=\"button\" id=\"copy\">Copy as text</button>\n\
             <label class=\"button\">Open the recording…\
             <input type=\"file\" id=\"file\" accept=\"audio/*,video/*\"></label>\n\
             <span role=\"status\" id=\"copied\"></span></p>\n",
        );
    }
    out.push_str("</header>\n");
}

/// Writes the search field, which stays in view, and below it the whole meeting as one strip.
fn write_search_bar(chart: &Chart, out: &mut String) {
    out.push_str(
        "<div class=\"find\" role=\"search\"><div>\n\
         <input type=\"text\" id=\"search\" aria-label=\"Search what was said\" placeholder=\"Search (press /)\" \
         aria-keyshortcuts=\"/\" autocomplete=\"off\" autocapitalize=\"off\" spellcheck=\"false\" dir=\"auto\">\n\
         <output id=\"status\" aria-live=\"polite\"></output>\n\
         <button type=\"button\" class=\"button\" data-step=\"-1\" aria-label=\"Previous match\">↑</button>\n\
         <button type=\"button\" class=\"button\" data-step=\"1\" aria-label=\"Next match\">↓</button>\n\
         <button type=\"button\" class=\"button\" id=\"everyone\" hidden>Show all</button>\n</div>\n",
    );
    chart.write_strip(out);
    out.push_str("</div>\n");
}

/// Returns the language of the meeting if it has exactly one.
fn one_language(meeting: &Meeting) -> Option<String> {
    let mut codes = meeting.language_codes();
    let first = codes.next().and_then(language)?;
    codes.next().is_none().then_some(first)
}

fn hash(source: &str) -> String {
    STANDARD.encode(digest(&SHA256, source.as_bytes()))
}

/// Appends to the page. Writing to a string cannot fail.
fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(what);
}
