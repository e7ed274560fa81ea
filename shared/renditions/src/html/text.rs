//! Formats text, times and counts for the page.

use std::fmt::{Display, Formatter, Result};

use job::time::Timestamp;

/// Text or an attribute value, made safe: markup and quotes become references. Control characters and noncharacters,
/// which HTML must not contain, become U+FFFD.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut from = 0;
        for (at, char) in self.0.char_indices() {
            let safe = match char {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                '\u{fdd0}'..='\u{fdef}' => "\u{fffd}",
                _ if char.is_control() || (char as u32) & 0xfffe == 0xfffe => "\u{fffd}",
                _ => continue,
            };
            f.write_str(self.0.get(from..at).unwrap_or_default())?;
            f.write_str(safe)?;
            from = at + char.len_utf8();
        }
        f.write_str(self.0.get(from..).unwrap_or_default())
    }
}

/// Formats a time as `1:23`, or as `0:01:23` in a meeting of more than an hour, so that all its times look alike.
pub(super) fn clock(ms: u32, hours: bool) -> String {
    let (minutes, seconds) = (ms / 60_000, ms / 1000 % 60);
    if hours { format!("{}:{:02}:{seconds:02}", minutes / 60, minutes % 60) } else { format!("{minutes}:{seconds:02}") }
}

/// Formats a duration as `1 h 2 min`, `14 min` or `32 s`.
pub(super) fn length(ms: u32) -> String {
    match (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, _) => format!("{minutes} min"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// Formats a count as `1 word` or `9,012 words`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text} {}", if count == 1 { one } else { many })
}

/// Formats a time as `25 November 2026, 14:00 UTC`.
pub(super) fn day_and_time(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let text = at.rfc3339();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let month = part(5..7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1))).unwrap_or(&"");
    format!("{} {month} {}, {} UTC", part(8..10).trim_start_matches('0'), part(0..4), part(11..16))
}

/// Returns a language tag for HTML, or none for codes such as `auto` or `multi`, which are not tags.
pub(super) fn language(code: &str) -> Option<String> {
    let tag = code.replace('_', "-");
    let mut parts = tag.split('-');
    let first =
        parts.next().is_some_and(|part| matches!(part.len(), 2..=3) && part.bytes().all(|b| b.is_ascii_alphabetic()));
    let rest = parts.all(|part| matches!(part.len(), 2..=8) && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    (first && rest).then_some(tag)
}
