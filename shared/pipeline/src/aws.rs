//! AWS clients from Lambda's own environment.
//!
//! This file replaces aws-config, whose chain of providers and profiles costs 4 ms of every cold start and ends at the
//! same four variables. The root certificates are Amazon's own, compiled in, because reading the system's store would
//! cost more than everything else in init.

use std::time::Duration;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::{SdkConfig, region::Region};

use crate::env::{Env, Reader};

/// Amazon Root CA 1 to 4 and Starfield Services G2, from https://www.amazontrust.com/repository/.
const AMAZON_ROOTS: &str = include_str!("amazon-roots.pem");

/// How long to wait for a connection to an AWS service.
const AWS_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one try of a call may take. The bodies are small, except those of S3, which has its own limit.
const AWS_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
/// How many times the SDK tries a call, including the first try.
const AWS_MAX_ATTEMPTS: u32 = 3;

/// The configuration that all clients share: one HTTP stack, the region, the credentials, and the limits.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    env: Env,
}

impl Aws {
    /// Reads the variables that Lambda sets. Notes a missing variable as a problem in `reader`.
    pub fn read(env: &Env, reader: &mut Reader<'_>) -> Self {
        let value = "your own value (AWS Lambda sets it by itself)";
        let region = reader.required("AWS_REGION", value);
        let access_key = reader.required("AWS_ACCESS_KEY_ID", value);
        let secret_key = reader.required("AWS_SECRET_ACCESS_KEY", value);
        let token = reader.text("AWS_SESSION_TOKEN").map(str::to_owned);
        let credentials = Credentials::new(access_key, secret_key, token, None, "lambda");
        let trust = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
        let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
        let http = match TlsContext::builder().with_trust_store(trust).build() {
            Ok(context) => http.tls_context(context).build_https(),
            Err(error) => {
                reader.problem(format!("the compiled-in root certificates could not be used: {error}"));
                http.build_https()
            }
        };
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(AWS_CONNECT_TIMEOUT)
            .operation_attempt_timeout(AWS_ATTEMPT_TIMEOUT)
            .build();
        let config = SdkConfig::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http)
            .sleep_impl(TokioSleep::new())
            .retry_config(RetryConfig::standard().with_max_attempts(AWS_MAX_ATTEMPTS))
            .timeout_config(timeouts)
            .build();
        Self { config, env: env.clone() }
    }

    /// Returns the configuration for one service, and whether the endpoint is not AWS's own. As in every AWS SDK,
    /// `AWS_ENDPOINT_URL_<SERVICE>` has priority over `AWS_ENDPOINT_URL`.
    pub fn service(&self, name: &str) -> (SdkConfig, bool) {
        let endpoint = self.env.get(&format!("AWS_ENDPOINT_URL_{name}")).or_else(|| self.env.get("AWS_ENDPOINT_URL"));
        match endpoint {
            None => (self.config.clone(), false),
            Some(url) => (self.config.clone().into_builder().endpoint_url(url).build(), true),
        }
    }

    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.service("DYNAMODB").0)
    }

    pub fn event_bridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.service("EVENTBRIDGE").0)
    }

    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.service("SQS").0)
    }

    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.service("SECRETS_MANAGER").0)
    }
}
