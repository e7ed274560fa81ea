//! How often copies of one transcript came to nothing before, and what that means for the next one. Each kind of
//! failure has its own count, so no other trouble uses up the tries of one.

use shared::telemetry::Chain;

use super::error::CopyError;
use crate::renditions::RenditionError;

/// A copy whose renditions S3 refused so many times before is stored without them. With the waits between, the tries
/// take two and a half minutes.
const MAX_RENDITION_REFUSALS: u32 = 5;
/// So is one that ran out of time over them so many times before. Each invocation has five minutes.
const MAX_RENDITION_TIMEOUTS: u32 = 3;
/// A file that was empty so many times before is stored as it is, unreadable.
const MAX_EMPTY_BODIES: u32 = 3;
/// A transcript that so many workers died over is copied unread: there are no renditions of it, and no counts.
const MAX_DEATHS: u32 = 3;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    /// S3 refused a rendition.
    pub(crate) rendition_refusals: u32,
    /// The time was up before all renditions were written.
    pub(crate) rendition_timeouts: u32,
    /// The file had no bytes.
    pub(crate) empty_bodies: u32,
    /// The worker died over it.
    pub(crate) deaths: u32,
}

impl Before {
    /// Whether the file is looked into.
    pub(super) fn is_read(self) -> bool {
        self.deaths < MAX_DEATHS
    }

    /// Whether a file without bytes is asked for again.
    pub(super) fn may_fill(self) -> bool {
        self.empty_bodies < MAX_EMPTY_BODIES
    }

    /// A set without renditions, and why; or the copy is tried again. S3 may take them then, and there may be more
    /// time, but the transcript does not wait for them for ever.
    pub(super) fn or_without(self, error: RenditionError) -> Result<String, CopyError> {
        match error {
            RenditionError::Upload(error) if self.rendition_refusals < MAX_RENDITION_REFUSALS => {
                Err(CopyError::RenditionsRefused(error))
            }
            RenditionError::OutOfTime if self.rendition_timeouts < MAX_RENDITION_TIMEOUTS => {
                Err(CopyError::RenditionsLate)
            }
            error @ (RenditionError::Upload(_) | RenditionError::OutOfTime) => Ok(Chain(&error).to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::UploadError;

    /// Whether a copy is tried again after this, with so many failures of each kind before.
    fn tried_again(before: Before, late: bool) -> bool {
        let refused = UploadError { what: "the object", source: "no".into() };
        let error = if late { RenditionError::OutOfTime } else { RenditionError::Upload(refused) };
        before.or_without(error).is_err()
    }

    #[test]
    fn renditions_are_given_up_only_after_failures_of_their_own_kind() {
        let others = Before { empty_bodies: 9, deaths: 2, ..Before::default() };
        for count in 0..9 {
            let refused = Before { rendition_refusals: count, ..others };
            assert_eq!(tried_again(refused, false), count < MAX_RENDITION_REFUSALS, "{refused:?}");
            assert!(tried_again(refused, true), "{refused:?}");
            let late = Before { rendition_timeouts: count, ..others };
            assert_eq!(tried_again(late, true), count < MAX_RENDITION_TIMEOUTS, "{late:?}");
            assert!(tried_again(late, false), "{late:?}");
        }
    }

    #[test]
    fn a_set_without_renditions_says_why() {
        let late = Before { rendition_timeouts: MAX_RENDITION_TIMEOUTS, ..Before::default() };
        let why = late.or_without(RenditionError::OutOfTime).expect("given up");
        assert!(why.contains("the time was up"), "{why}");
    }
}
