//! The environment, read once at the start. No other file reads it.

use std::collections::BTreeMap;

/// The variables of this process.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

impl std::fmt::Debug for Env {
    /// Shows only the names, because values can be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Env {
    #[expect(clippy::disallowed_methods, reason = "this is the only place that reads the environment")]
    pub fn of_process() -> Self {
        let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(readable).collect())
    }

    pub fn from_pairs<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Returns the trimmed value; `None` if it is missing or blank.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for Env {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// All problems of the settings, so that one failed start reports all of them.
#[derive(Debug, thiserror::Error)]
#[error("the settings have {} problem(s): {}", .0.len(), .0.join("; "))]
pub struct BadSettings(pub Vec<String>);

/// Reads settings and collects their problems.
#[derive(Debug)]
pub struct Reader<'a> {
    env: &'a Env,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub fn new(env: &'a Env) -> Self {
        Self { env, problems: Vec::new() }
    }

    /// Notes a problem. The text says what to do.
    pub fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.env.get(name)
    }

    /// Returns the value. If it is missing, notes that as a problem, which makes [`Reader::finish`] fail, and returns
    /// an empty text. `meaning` completes "set it to".
    pub fn required(&mut self, name: &str, meaning: &str) -> String {
        match self.env.get(name) {
            Some(value) => value.to_owned(),
            None => {
                self.problem(format!("{name} is missing: set it to {meaning}"));
                String::new()
            }
        }
    }

    /// Returns the parsed value, or `default` if it is missing. Notes a value that cannot be parsed as a problem.
    pub fn parsed<T>(&mut self, name: &str, default: T, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
        match self.env.get(name).map(parse) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(problem)) => {
                self.problem(format!("{name}: {problem}"));
                default
            }
        }
    }

    pub fn flag(&mut self, name: &str, default: bool) -> bool {
        self.parsed(name, default, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("`{other}` is not a boolean; use true or false")),
        })
    }

    /// Returns the settings if there was no problem.
    ///
    /// # Errors
    /// All problems that were noted.
    pub fn finish<T>(self, settings: T) -> Result<T, BadSettings> {
        if self.problems.is_empty() { Ok(settings) } else { Err(BadSettings(self.problems)) }
    }
}
