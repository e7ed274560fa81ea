//! The names of all log lines. Each is a noun and a past participle. Tests compare the documents with this list.
//!
//! These are the rules for log lines:
//!
//! - A field has the same name everywhere: `recording.id`, `transcript.id`, `delivery.id`, `job.status`, `attempt`,
//!   `duration_ms`, `bytes`.
//! - A failure is logged once, where it is handled.
//! - No line has a body, transcript text, a header, a key, or a URL with a query.

macro_rules! names {
    ($($(#[$doc:meta])* $constant:ident = $name:literal;)*) => {
        $(
            $(#[$doc])*
            pub const $constant: &str = $name;
        )*

        /// Every name.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

names! {
    /// The event bus did not accept an announcement.
    ANNOUNCEMENT_NOT_SENT = "announcement.not_sent";
    /// The event bus accepted an announcement.
    ANNOUNCEMENT_SENT = "announcement.sent";
    /// Recall no longer has what we wanted to delete.
    ARTIFACT_ALREADY_DELETED = "artifact.already_deleted";
    /// We deleted a transcript or a recording at Recall.
    ARTIFACT_DELETED = "artifact.deleted";
    /// Recall did not delete a transcript or a recording.
    ARTIFACT_NOT_DELETED = "artifact.not_deleted";
    /// One of our attempts failed, or Recall refused it.
    ATTEMPT_FAILED = "attempt.failed";
    /// Recall has a transcript of ours that we did not know.
    ATTEMPT_PAID = "attempt.paid";
    /// Two transcripts carry the same attempt.
    ATTEMPT_PAID_TWICE = "attempt.paid_twice";
    /// Recall did not return a bot, so the platform and the meeting's id are unknown.
    BOT_NOT_RETRIEVED = "bot.not_retrieved";
    /// An object in S3 differs from its receipt.
    COPY_MISMATCHED = "copy.mismatched";
    /// S3 did not return the properties of an object.
    COPY_NOT_VERIFIED = "copy.not_verified";
    /// Recall accepted the paid call, but its answer could not be read.
    CREATE_TRANSCRIPT_ANSWER_NOT_READ = "create_transcript.answer_not_read";
    /// Recall answered the paid call.
    CREATE_TRANSCRIPT_ANSWERED = "create_transcript.answered";
    /// The paid call has no answer, so its outcome is unknown.
    CREATE_TRANSCRIPT_NOT_ANSWERED = "create_transcript.not_answered";
    /// The paid call was not sent.
    CREATE_TRANSCRIPT_NOT_SENT = "create_transcript.not_sent";
    /// The sweep could not claim its place in Recall's lists.
    CURSOR_NOT_CLAIMED = "cursor.not_claimed";
    /// The sweep could not save its place in Recall's lists.
    CURSOR_NOT_SAVED = "cursor.not_saved";
    /// Another run of the sweep has saved a newer place in Recall's lists.
    CURSOR_OVERTAKEN = "cursor.overtaken";
    /// Another run of the sweep reads Recall's lists.
    CURSOR_TAKEN = "cursor.taken";
    /// The recording has other transcripts that must be copied before it is deleted.
    DELETION_POSTPONED = "deletion.postponed";
    /// A deletion at Recall was given up.
    DELETION_STOPPED = "deletion.stopped";
    /// The sweep ran out of time while it read due jobs.
    DUE_JOBS_INTERRUPTED = "due_jobs.interrupted";
    /// The jobs table did not return the due jobs.
    DUE_JOBS_NOT_READ = "due_jobs.not_read";
    /// The sweep found a fact that no webhook had reported.
    EVENT_FOUND = "event.found";
    /// An event changed nothing.
    EVENT_IGNORED = "event.ignored";
    /// Recall deletes a recording soon, and it is not stored.
    EXPIRY_NOTICED = "expiry.noticed";
    /// The function could not start.
    INIT_FAILED = "init.failed";
    /// An event changed a job.
    JOB_ADVANCED = "job.advanced";
    /// A job ended without a transcript.
    JOB_ENDED = "job.ended";
    /// The item of a recording is not a job.
    JOB_NOT_READ = "job.not_read";
    /// A job could not be loaded or saved.
    JOB_NOT_SAVED = "job.not_saved";
    /// S3 did not say whether a knowledge document has changed, so it was written again.
    KNOWLEDGE_NOT_COMPARED = "knowledge.not_compared";
    /// The metadata does not fit into the sidecar of a knowledge document, so there is no document.
    KNOWLEDGE_NOT_WRITTEN = "knowledge.not_written";
    /// Entries of one of Recall's lists could not be read.
    LIST_ENTRIES_SKIPPED = "list.entries_skipped";
    /// The link to the next page of one of Recall's lists leads somewhere else.
    LIST_LINK_REJECTED = "list.link_rejected";
    /// One of Recall's lists could not be read to its end.
    LIST_STOPPED = "list.stopped";
    /// Recall did not answer a look-up.
    LOOK_UP_NOT_ANSWERED = "look_up.not_answered";
    /// A recording has more transcripts than a look-up reads.
    LOOK_UP_TRUNCATED = "look_up.truncated";
    /// An object with the key of a manifest is not a manifest of ours.
    MANIFEST_NOT_READ = "manifest.not_read";
    /// A manifest no longer names files that are about to be replaced.
    MANIFEST_WITHDRAWN = "manifest.withdrawn";
    /// One of Recall's files about a meeting was not fetched, or could not be read.
    MEETING_FILE_NOT_READ = "meeting_file.not_read";
    /// A message from the work queue was handled.
    MESSAGE_HANDLED = "message.handled";
    /// The work queue did not set the time at which it delivers a message again.
    MESSAGE_NOT_HIDDEN = "message.not_hidden";
    /// The dead-letter queue did not accept a message.
    MESSAGE_NOT_PARKED = "message.not_parked";
    /// The work queue did not accept a message.
    MESSAGE_NOT_SENT = "message.not_sent";
    /// A message that can never be handled went to the dead-letter queue.
    MESSAGE_PARKED = "message.parked";
    /// Someone sent a message with a reason.
    MESSAGE_REQUESTED = "message.requested";
    /// The sweep ran out of time while it looked for the oldest unfinished job.
    OPEN_JOBS_INTERRUPTED = "open_jobs.interrupted";
    /// The jobs table did not return the unfinished jobs.
    OPEN_JOBS_NOT_READ = "open_jobs.not_read";
    /// An override in a recording's metadata has no effect.
    OVERRIDE_IGNORED = "override.ignored";
    /// Recall refused every provider of the chain.
    PROVIDERS_REFUSED = "providers.refused";
    /// The work queue is full, so the sweep sends nothing.
    QUEUE_FILLED = "queue.filled";
    /// SQS did not say how many messages the work queue has.
    QUEUE_NOT_MEASURED = "queue.not_measured";
    /// An answer from Recall's address is not from its API.
    RECALL_ANSWER_REJECTED = "recall.answer_rejected";
    /// Recall rejected the API key, or wants a payment.
    RECALL_CREDENTIALS_REJECTED = "recall.credentials_rejected";
    /// Recall does not know the recording of a job.
    RECORDING_NOT_FOUND = "recording.not_found";
    /// A recording's metadata could not be read before the paid call.
    RECORDING_NOT_READ = "recording.not_read";
    /// A transcript is copied without the details of its recording.
    RECORDING_NOT_RETRIEVED = "recording.not_retrieved";
    /// A rendering was given up.
    RENDERING_STOPPED = "rendering.stopped";
    /// S3 did not remove a readable file that is no longer written.
    RENDITION_NOT_REMOVED = "rendition.not_removed";
    /// The secret could not be read.
    SECRET_NOT_READ = "secret.not_read";
    /// A run of the sweep ended.
    SWEEP_FINISHED = "sweep.finished";
    /// S3 would not keep a value unchanged as an object tag.
    TAG_NOT_SET = "tag.not_set";
    /// What was missing of a meeting was not fetched.
    TRANSCRIPT_NOT_FOLLOWED_UP = "transcript.not_followed_up";
    /// A transcript was stored without readable files.
    TRANSCRIPT_NOT_RENDERED = "transcript.not_rendered";
    /// The readable files of a stored transcript were not made again.
    TRANSCRIPT_NOT_RERENDERED = "transcript.not_rerendered";
    /// A stored transcript was followed up: what was missing of its meeting was looked for.
    TRANSCRIPT_FOLLOWED_UP = "transcript.followed_up";
    /// A copy failed.
    TRANSCRIPT_NOT_STORED = "transcript.not_stored";
    /// The readable files of a stored transcript were made again.
    TRANSCRIPT_RERENDERED = "transcript.rerendered";
    /// A copy is complete.
    TRANSCRIPT_STORED = "transcript.stored";
    /// Something in a transcript could not be used.
    TRANSCRIPT_VALUES_SKIPPED = "transcript.values_skipped";
    /// S3 did not end an unfinished upload.
    UPLOAD_NOT_ABORTED = "upload.not_aborted";
    /// The sweep ran out of time while it sent wake-ups.
    WAKE_INTERRUPTED = "wake.interrupted";
    /// The work queue did not accept a wake-up from the sweep.
    WAKE_NOT_SENT = "wake.not_sent";
    /// A delivery was handled.
    WEBHOOK_HANDLED = "webhook.handled";
    /// A verified delivery has an event that we do not handle.
    WEBHOOK_IGNORED = "webhook.ignored";
    /// The dead-letter queue did not accept a delivery.
    WEBHOOK_NOT_PARKED = "webhook.not_parked";
    /// A verified delivery that could not be read went to the dead-letter queue.
    WEBHOOK_PARKED = "webhook.parked";
    /// A delivery was refused.
    WEBHOOK_REFUSED = "webhook.refused";
}
