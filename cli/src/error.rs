//! Errors: each says what went wrong, and what to do about it.

use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pipeline::{store::StoreError, telemetry::Chain};

/// Why the command ends.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct CliError {
    /// A stable name, for programs.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
    pub(crate) exit: u8,
}

const LOGIN: &str =
    "log in again: with SSO, run `aws sso login` (with your --profile); otherwise renew your credentials";

const FAILED: u8 = 1;
const NOT_FOUND: u8 = 3;
const NO_PERMISSION: u8 = 4;
const SOME_FAILED: u8 = 5;
const DECLINED: u8 = 7;
const INTERRUPTED: u8 = 130;

impl CliError {
    fn new(exit: u8, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, exit }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Says which item the error is about.
    pub(crate) fn about(self, id: &str) -> Self {
        Self { message: format!("{id}: {}", self.message), ..self }
    }

    pub(crate) fn failed(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FAILED, code, message)
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(NOT_FOUND, code, message)
    }

    pub(crate) fn some_failed(failed: usize, all: usize) -> Self {
        Self::some_of("recordings", failed, all)
    }

    pub(crate) fn some_of(what: &str, failed: usize, all: usize) -> Self {
        Self::new(SOME_FAILED, "some_failed", format!("{failed} of {all} {what} failed; the reasons are above"))
    }

    pub(crate) fn declined(message: impl Into<String>) -> Self {
        Self::new(DECLINED, "declined", message)
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(INTERRUPTED, "interrupted", "stopped with Ctrl-C")
    }

    pub(crate) fn no_credentials(error: &(dyn std::error::Error + 'static)) -> Self {
        let whole = Chain(error).to_string();
        Self::new(NO_PERMISSION, "no_credentials", format!("there are no usable AWS credentials: {whole}")).hint(LOGIN)
    }

    /// Returns whether the local stack does not have the service.
    pub(crate) fn is_not_available_locally(&self) -> bool {
        self.message.contains("NotAvailableLocally")
    }

    /// Describes the failure of a call to AWS.
    pub(crate) fn aws<E>(operation: &'static str, error: &E) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        Self::of_aws(operation, error.code(), error.message(), &Chain(error).to_string())
    }

    fn of_aws(operation: &'static str, code: Option<&str>, message: Option<&str>, whole: &str) -> Self {
        let said = message.or(code).unwrap_or(whole);
        match code {
            Some("AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "AuthorizationError") => {
                Self::new(NO_PERMISSION, "no_permission", format!("AWS does not allow {operation}: {said}"))
                    .hint("ask for this permission, or use another --profile")
            }
            Some(
                "ExpiredToken"
                | "ExpiredTokenException"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "RequestExpired"
                | "InvalidSignatureException"
                | "SignatureDoesNotMatch",
            ) => Self::new(NO_PERMISSION, "login_expired", format!("AWS refused your login: {said}")).hint(LOGIN),
            Some(code) => Self::failed("aws_error", format!("{operation} failed: {code}: {said}")),
            None if whole.contains("credentials") || whole.contains("SSO") || whole.contains("sso") => {
                Self::new(NO_PERMISSION, "no_credentials", format!("there are no usable AWS credentials: {whole}"))
                    .hint(LOGIN)
            }
            None => Self::failed("aws_unreachable", format!("{operation} got no answer: {whole}"))
                .hint("check the network, --region and --endpoint-url"),
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { operation, source } => Self::of_store(operation, source.as_ref()),
            StoreError::Unreadable { .. } => Self::failed("row_not_readable", error.to_string())
                .hint("a newer version of the functions may have written it; use the command of that version"),
        }
    }
}

impl CliError {
    /// The store's errors keep the error of the SDK as a source, whose type depends on the operation.
    fn of_store(operation: &'static str, source: &(dyn std::error::Error + Send + Sync + 'static)) -> Self {
        let whole = Chain(source).to_string();
        let codes = ["AccessDeniedException", "ExpiredTokenException", "UnrecognizedClientException"];
        let code = codes.into_iter().find(|code| whole.contains(code));
        Self::of_aws(operation, code, None, &whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: Option<&str>, whole: &str) -> (u8, &'static str) {
        let error = CliError::of_aws("GetItem", code, None, whole);
        (error.exit, error.code)
    }

    #[test]
    fn errors_of_aws_say_what_to_do() {
        assert_eq!(exit(Some("AccessDeniedException"), ""), (4, "no_permission"));
        assert_eq!(exit(Some("ExpiredToken"), ""), (4, "login_expired"));
        assert_eq!(exit(Some("InternalServerError"), ""), (1, "aws_error"));
        assert_eq!(exit(None, "no credentials in the profile"), (4, "no_credentials"));
        assert_eq!(exit(None, "connection refused"), (1, "aws_unreachable"));
    }
}
