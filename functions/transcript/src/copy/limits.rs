//! How many failures of each kind a copy may have, and what follows from one more. Each kind has its own count, so
//! failures of one kind do not use up the tries of another.

use job::Failures;
use pipeline::telemetry::Chain;

use super::error::CopyError;
use crate::render::RenditionError;

/// After S3 has refused the renditions this many times, the transcript is stored without them. With the waits between,
/// the tries take two and a half minutes.
const MAX_RENDITION_REFUSALS: u32 = 5;
/// After this many copies ran out of time while they wrote renditions, the transcript is stored without them. Each
/// invocation has five minutes.
const MAX_RENDITION_TIMEOUTS: u32 = 3;
/// After this many downloads without bytes, the empty file is stored as it is, as unreadable.
const MAX_EMPTY_BODIES: u32 = 3;
/// After this many workers died while they copied a transcript, it is copied without being read. Then it has neither
/// renditions nor counts.
const MAX_CRASHES: u32 = 3;

/// Returns whether the copy may read the file, and not only store it.
pub(super) fn should_read(failures: Failures) -> bool {
    failures.crashes < MAX_CRASHES
}

/// Returns whether a file without bytes must be downloaded again.
pub(super) fn should_retry_empty(failures: Failures) -> bool {
    failures.empty_bodies < MAX_EMPTY_BODIES
}

/// Decides what follows from renditions that could not be written. The error means to try the copy again, since S3 may
/// accept them then, or the time may be enough. After several tries the transcript is stored without them, and the text
/// says why.
pub(super) fn retry_or_store_without(failures: Failures, error: RenditionError) -> Result<String, CopyError> {
    match error {
        RenditionError::Upload(error) | RenditionError::Knowledge(error)
            if failures.renditions_refused < MAX_RENDITION_REFUSALS =>
        {
            Err(CopyError::RenditionsRefused(error))
        }
        RenditionError::OutOfTime if failures.renditions_late < MAX_RENDITION_TIMEOUTS => {
            Err(CopyError::RenditionsLate)
        }
        error @ (RenditionError::Upload(_) | RenditionError::Knowledge(_) | RenditionError::OutOfTime) => {
            Ok(Chain(&error).to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::bucket::S3Error;

    /// Returns whether a copy is tried again after this error, with these earlier failures.
    fn tried_again(failures: Failures, late: bool) -> bool {
        let refused = S3Error { operation: "PutObject", source: "no".into() };
        let error = if late { RenditionError::OutOfTime } else { RenditionError::Upload(refused) };
        retry_or_store_without(failures, error).is_err()
    }

    #[test]
    fn renditions_are_given_up_only_after_failures_of_one_kind() {
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
    fn missing_renditions_have_a_reason() {
        let late = Failures { renditions_late: MAX_RENDITION_TIMEOUTS, ..Failures::default() };
        let rendered = retry_or_store_without(late, RenditionError::OutOfTime);
        let Ok(why) = rendered else { panic!("the renditions were not given up") };
        assert!(why.contains("the time was up"), "{why}");
    }
}
