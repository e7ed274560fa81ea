//! Asks before something is changed.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::{args::Global, error::CliError, output::Output};

/// What the person decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    Do,
    /// Only say what would be done.
    DryRun,
}

/// Asks whether to do this.
///
/// # Errors
/// The person declined, or there is no one to ask.
pub(crate) fn ask(global: &Global, output: &Output, question: &str) -> Result<Answer, CliError> {
    if global.dry_run {
        return Ok(Answer::DryRun);
    }
    if global.yes {
        return Ok(Answer::Do);
    }
    if global.no_input || !std::io::stdin().is_terminal() {
        return Err(CliError::declined("there is no one to ask, so nothing was changed")
            .hint("add --yes to change it without a question"));
    }
    let _ = write!(anstream::stderr().lock(), "{question} [y/N] ");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    match (read, line.trim().to_ascii_lowercase().as_str()) {
        (Ok(_), "y" | "yes") => Ok(Answer::Do),
        (_, _) => {
            output.detail("the answer was no");
            Err(CliError::declined("nothing was changed"))
        }
    }
}
