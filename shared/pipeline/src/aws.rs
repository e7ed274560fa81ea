//! AWS clients from Lambda's own environment.
//!
//! By hand instead of through aws-config: its chain of providers and profiles costs 4 ms of every cold start and
//! ends at the same four variables. The roots are Amazon's own, compiled in; reading the system's store would cost
//! more than everything else in init.

use std::time::Duration;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::{SdkConfig, region::Region};

use crate::env::{Env, Reader};

/// Amazon Root CA 1 to 4 and Starfield Services G2, from https://www.amazontrust.com/repository/.
const AMAZON_ROOTS: &str = include_str!("amazon-roots.pem");

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// One try of a call with a small body.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
/// Tries of one call, the first included.
const MAX_ATTEMPTS: u32 = 3;

/// What every client shares: one HTTP stack, region, credentials, limits.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    env: Env,
}

impl Aws {
    /// Reads what Lambda provides. A missing variable is a problem for the reader's list.
    pub fn read(env: &Env, reader: &mut Reader<'_>) -> Self {
        let inside = "what AWS Lambda sets it to (outside Lambda: your own)";
        let region = reader.required("AWS_REGION", inside);
        let access_key = reader.required("AWS_ACCESS_KEY_ID", inside);
        let secret_key = reader.required("AWS_SECRET_ACCESS_KEY", inside);
        let token = reader.text("AWS_SESSION_TOKEN").map(str::to_owned);
        let credentials = Credentials::new(access_key, secret_key, token, None, "lambda");
        let trust = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
        let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
        let http = match TlsContext::builder().with_trust_store(trust).build() {
            Ok(context) => http.tls_context(context).build_https(),
            Err(error) => {
                reader.problem(format!("the compiled-in root certificates are unusable: {error}"));
                http.build_https()
            }
        };
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let config = SdkConfig::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http)
            .sleep_impl(TokioSleep::new())
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .timeout_config(timeouts)
            .build();
        Self { config, env: env.clone() }
    }

    /// The configuration for one service; `AWS_ENDPOINT_URL_<SERVICE>` wins over `AWS_ENDPOINT_URL`, as in every
    /// AWS SDK. Also says whether the endpoint is not AWS's own.
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
