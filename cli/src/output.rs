//! What the command prints: data on standard output, messages on standard error.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints for a person or a program")]

use std::io::{IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets::NOTHING};
use job::Status;
use serde::Serialize;

use crate::{
    args::{Color, Global},
    error::CliError,
    times::Times,
};

/// The width of a table that is not shown on a terminal.
const WIDTH_WITHOUT_TERMINAL: u16 = 140;

/// How the command prints.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
    quiet: bool,
    verbose: bool,
    pub(crate) times: Times,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        match global.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        Self {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            times: Times::new(global.time, pipeline::time::now()),
        }
    }

    /// Prints one object.
    pub(crate) fn object(&self, value: &impl Serialize) {
        self.text(&serde_json::to_string(value).unwrap_or_else(|_| unreachable!("text keys and plain values")));
    }

    /// Prints text for a person.
    pub(crate) fn text(&self, text: &str) {
        // A closed pipe, as of `head`, is no error.
        let _ = writeln!(anstream::stdout().lock(), "{text}");
    }

    /// Prints bytes of others: unchanged into a file or a pipe, and without control characters on a terminal.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        let _ = if stdout.is_terminal() {
            let text = String::from_utf8_lossy(bytes);
            let lines: Vec<String> = text.lines().map(plain).collect();
            writeln!(stdout, "{}", lines.join("\n"))
        } else {
            stdout.write_all(bytes).and_then(|()| stdout.flush())
        };
    }

    /// Prints a message for a person.
    pub(crate) fn message(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr().lock(), "{text}");
        }
    }

    /// Prints what the command has read, if a person asked for that.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            let _ = writeln!(anstream::stderr().lock(), "{text}");
        }
    }

    pub(crate) fn error(&self, error: &CliError) {
        let CliError { code, message, hint, .. } = error;
        let text = if self.json {
            serde_json::json!({"error": {"code": code, "message": message, "hint": hint}}).to_string()
        } else {
            let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
            let hint = hint.as_ref().map(|hint| format!("\n{hint}")).unwrap_or_default();
            format!("{red}error:{red:#} {message}{hint}")
        };
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }
}

/// Returns a table within this width. The first two columns, such as an ID and a status, are never wrapped.
pub(crate) fn table(headings: &[&str], rows: Vec<Vec<String>>, width: u16) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(headings).add_rows(rows);
    // The first column begins at the left edge, so that a line can be copied from there.
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index < 2 {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Returns the width of the terminal.
pub(crate) fn width() -> u16 {
    if !std::io::stdout().is_terminal() {
        return WIDTH_WITHOUT_TERMINAL;
    }
    let mut probe = Table::new();
    probe.set_content_arrangement(ContentArrangement::Dynamic);
    probe.width().unwrap_or(WIDTH_WITHOUT_TERMINAL)
}

/// Returns the status in its color.
pub(crate) fn status(status: Status) -> String {
    let color = match status {
        Status::Failed | Status::Lost | Status::LimitReached => AnsiColor::Red,
        Status::Waiting => AnsiColor::Yellow,
        Status::Stored => AnsiColor::Green,
        Status::Creating | Status::Transcribing | Status::Copying | Status::Skipped => {
            return status.as_str().to_owned();
        }
    };
    let style = Style::new().fg_color(Some(color.into()));
    format!("{style}{}{style:#}", status.as_str())
}

/// Returns text of others as one line without control characters.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn table_fits_into_its_width_and_keeps_ids_whole() {
        let rows = || vec![vec!["an-id".to_owned(), "failed".to_owned(), "some longer text that wraps".to_owned()]];
        expect![[r#"
            ID     STATUS  TEXT
            an-id  failed  some longer text that wraps"#]]
        .assert_eq(&table(&["ID", "STATUS", "TEXT"], rows(), 80));
        let narrow = table(&["ID", "STATUS", "TEXT"], rows(), 30);
        assert!(narrow.lines().count() > 2 && narrow.lines().all(|line| line.len() <= 30), "{narrow}");
        assert!(narrow.contains("an-id  failed"), "{narrow}");
    }

    #[test]
    fn text_of_others_cannot_change_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc"), "a [31mb c");
    }
}
