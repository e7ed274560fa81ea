//! How many failures of each kind a copy may have, and what follows from one more. No other trouble uses up the tries
//! of one kind.

use job::Failures;
use pipeline::telemetry::Chain;

use super::error::CopyError;
use crate::render::RenditionError;

/// A copy whose renditions S3 refused this many times is stored without them. With the waits between, the tries take two
/// and a half minutes.
const MAX_RENDITION_REFUSALS: u32 = 5;
/// So is one that ran out of time over them this many times. Each invocation has five minutes.
const MAX_RENDITION_TIMEOUTS: u32 = 3;
/// A file that was empty this many times is stored as it is, unreadable.
const MAX_EMPTY_BODIES: u32 = 3;
/// A transcript that this many workers died over is copied unread: there are no renditions of it, and no counts.
const MAX_DEATHS: u32 = 3;

/// Whether the file is looked into.
pub(super) fn is_read(failures: Failures) -> bool {
    failures.crashes < MAX_DEATHS
}

/// Whether a file without bytes is asked for again.
pub(super) fn may_fill(failures: Failures) -> bool {
    failures.empty_bodies < MAX_EMPTY_BODIES
}

/// A set without renditions, and why; or the copy is tried again. S3 may take them then, and there may be more time, but
/// the transcript does not wait for them forever.
pub(super) fn or_without(failures: Failures, error: RenditionError) -> Result<String, CopyError> {
    match error {
        RenditionError::Upload(error) if failures.renditions_refused < MAX_RENDITION_REFUSALS => {
            Err(CopyError::RenditionsRefused(error))
        }
        RenditionError::OutOfTime if failures.renditions_late < MAX_RENDITION_TIMEOUTS => {
            Err(CopyError::RenditionsLate)
        }
        error @ (RenditionError::Upload(_) | RenditionError::OutOfTime) => Ok(Chain(&error).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::bucket::S3Error;

    /// Whether a copy is tried again after this, with so many failures of each kind before.
    fn tried_again(failures: Failures, late: bool) -> bool {
        let refused = S3Error { operation: "PutObject", source: "no".into() };
        let error = if late { RenditionError::OutOfTime } else { RenditionError::Upload(refused) };
        or_without(failures, error).is_err()
    }

    #[test]
    fn renditions_are_given_up_only_after_failures_of_their_own_kind() {
        let others = Failures { empty_bodies: 9, crashes: 2, ..Failures::default() };
        for count in 0..9 {
            let refused = Failures { renditions_refused: count, ..others };
            assert_eq!(tried_again(refused, false), count < MAX_RENDITION_REFUSALS, "{refused:?}");
            assert!(tried_again(refused, true), "{refused:?}");
            let late = Failures { renditions_late: count, ..others };
            assert_eq!(tried_again(late, true), count < MAX_RENDITION_TIMEOUTS, "{late:?}");
            assert!(tried_again(late, false), "{late:?}");
        }
    }

    #[test]
    fn a_set_without_renditions_says_why() {
        let late = Failures { renditions_late: MAX_RENDITION_TIMEOUTS, ..Failures::default() };
        let why = or_without(late, RenditionError::OutOfTime).expect("given up");
        assert!(why.contains("the time was up"), "{why}");
    }
}
