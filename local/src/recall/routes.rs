//! The paths of the API that several files use.

pub(super) const TRANSCRIPTS: &str = "/api/v1/transcript/";
pub(super) const RECORDINGS: &str = "/api/v1/recording/";
pub(super) const CREATE_TRANSCRIPT: &str = "/api/v1/recording/{id}/create_transcript/";
/// The path on the API host that serves files to any caller with a token.
pub(super) const DOWNLOAD: &str = "/api/v1/download/{kind}";
