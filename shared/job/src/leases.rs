//! The leases under which a worker writes manifests or reads them back: to render, to follow a copy up, or to delete.
//! Only one of them runs at a time.

use super::{Claim, Job};
use crate::time::Timestamp;

/// Returns the end of a lease, if a worker holds it.
pub(crate) fn leased_until(claim: Option<Claim>, retry_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    claim.and(Some(retry_at)).filter(|until| now < *until)
}

impl Job {
    /// Returns until when a worker may write the manifests or read them back.
    pub(crate) fn manifests_leased_until(&self, now: Timestamp) -> Option<Timestamp> {
        let deletion = self.deletion.and_then(|one| leased_until(one.claim, one.retry_at, now));
        let rendering = self.rendering.and_then(|one| leased_until(one.claim, one.retry_at, now));
        let follow_up = self.follow_up.and_then(|one| leased_until(one.claim, one.retry_at, now));
        deletion.max(rendering).max(follow_up)
    }
}
