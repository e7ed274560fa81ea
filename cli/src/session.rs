//! The operator's access to AWS: profiles, single sign-on, and credential processes, as the AWS CLI has them.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::ProvideCredentials as _};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};

use crate::{args::Global, error::CliError};

/// How long one try of a call may take.
const ATTEMPT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// The region of the local stack, which has none.
const LOCAL_REGION: &str = "us-east-1";

/// Loads the configuration that all clients share.
///
/// # Errors
/// There is no region, or there are no credentials.
pub(crate) async fn load(global: &Global) -> Result<SdkConfig, CliError> {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(3));
    if let Some(profile) = &global.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &global.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &global.endpoint_url {
        loader = loader.endpoint_url(url);
        if is_local(url) {
            // The local stack accepts any credentials, and must never see real ones.
            let region = global.region.clone().unwrap_or_else(|| LOCAL_REGION.to_owned());
            loader = loader.region(Region::new(region));
            loader = loader.credentials_provider(Credentials::new("local", "local", None, None, "local"));
        }
    }
    let config = loader.load().await;
    if config.region().is_none() {
        return Err(CliError::failed("no_region", "there is no AWS region").hint("add --region, or set AWS_REGION"));
    }
    if let Some(credentials) = config.credentials_provider()
        && let Err(error) = credentials.provide_credentials().await
    {
        return Err(CliError::no_credentials(&error));
    }
    Ok(config)
}

/// Returns whether the endpoint is on this machine.
fn is_local(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    ["127.0.0.1", "localhost", "[::1]"].contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for url in ["http://127.0.0.1:4566", "http://localhost/x", "http://[::1]:9"] {
            assert!(is_local(url), "{url}");
        }
        for url in ["https://localhost.example", "http://127.0.0.1.example:80", "https://example.com/127.0.0.1"] {
            assert!(!is_local(url), "{url}");
        }
    }
}
