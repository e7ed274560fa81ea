//! The lines that the functions' processes write.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use crate::wire::lock;

/// The number of lines to keep. Older ones are dropped.
const LINES_KEPT: usize = 100_000;

/// Where a function's lines go. Clones share one memory.
#[derive(Clone, Default)]
pub struct LogSink(Arc<Inner>);

type Forward = Box<dyn Fn(&str) + Send + Sync>;

#[derive(Default)]
struct Inner {
    lines: Mutex<VecDeque<String>>,
    forward: Option<Forward>,
}

impl LogSink {
    /// Returns a sink that keeps the lines and passes each one to `forward`.
    pub fn forward_to(forward: impl Fn(&str) + Send + Sync + 'static) -> LogSink {
        LogSink(Arc::new(Inner { lines: Mutex::default(), forward: Some(Box::new(forward)) }))
    }

    /// Returns the lines so far, oldest first.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.0.lines).iter().cloned().collect()
    }

    pub(super) fn push(&self, line: &str) {
        if let Some(forward) = &self.0.forward {
            forward(line);
        }
        let mut lines = lock(&self.0.lines);
        if lines.len() == LINES_KEPT {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }
}

impl std::fmt::Debug for LogSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogSink").field("lines", &lock(&self.0.lines).len()).finish_non_exhaustive()
    }
}
