//! One endpoint for all AWS services of a stack, as the operator's command uses it: `--endpoint-url`.
//!
//! AWS has a host for each service, and so do the stand-ins. Here the signature says which service a request is for.
//! The stand-ins answer by the same routers as on their own ports, so it does not matter which way a call came. What
//! only the command needs is here: CloudFormation, STS, and Lambda's API.

mod answers;
mod cloudformation;
mod lambda_api;
mod sts;

use anyhow::Result;
use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, Uri, header},
};
use tokio::net::TcpListener;

use self::answers::{Protocol, refusal};
pub(crate) use self::{cloudformation::Description, lambda_api::LambdaApi};
use crate::{
    bus::Bus,
    dynamodb::DynamoDb,
    page::{self, guard::is_here},
    queue::Queues,
    s3::S3,
    secrets::Secrets,
    wire::{Server, Service, Wire, listen, listen_usual, serve_each},
};

/// The default port, next to those of the page. It is always the same, so that a command line can be used again.
const PORT: u16 = page::PORT + page::PORTS;
/// How many ports from [`PORT`] on are tried before any free one is taken.
const PORTS: u16 = 10;
/// The one stack that CloudFormation knows.
pub const STACK_NAME: &str = "recall-transcripts";

/// The endpoint. It stops when this is dropped.
#[derive(Debug)]
pub struct AwsEndpoint {
    url: String,
    _server: Server,
}

/// The stand-ins with ports of their own.
#[derive(Clone, Copy)]
pub(crate) struct StandIns<'a> {
    pub(crate) dynamodb: &'a DynamoDb,
    pub(crate) s3: &'a S3,
    pub(crate) queues: &'a Queues,
    pub(crate) secrets: &'a Secrets,
    pub(crate) bus: &'a Bus,
}

/// Who answers which service.
#[derive(Clone)]
struct Routes {
    dynamodb: Router,
    s3: Router,
    sqs: Router,
    secrets: Router,
    events: Router,
    cloudformation: Router,
    lambda: Router,
    sts: Router,
}

/// Reserves a port: the given one, or else the usual one or any free one.
pub async fn reserve(port: Option<u16>) -> Result<TcpListener> {
    listen_usual(port, PORT..PORT + PORTS, "the AWS endpoint", "--aws-port").await
}

impl AwsEndpoint {
    /// Serves the stand-ins on this port. 0 takes any free port.
    pub(crate) async fn start(
        wire: &Wire,
        port: u16,
        stand_ins: StandIns<'_>,
        description: Description,
        lambda: LambdaApi,
    ) -> Result<AwsEndpoint> {
        let (listener, port) = listen(port).await?;
        let routes = Routes {
            dynamodb: stand_ins.dynamodb.router(),
            s3: stand_ins.s3.router(),
            sqs: stand_ins.queues.router(),
            secrets: stand_ins.secrets.router(),
            events: stand_ins.bus.router(),
            cloudformation: cloudformation::router(description),
            lambda: lambda_api::router(lambda),
            sts: sts::router(),
        };
        Ok(AwsEndpoint {
            url: format!("http://127.0.0.1:{port}"),
            _server: serve_each(wire, listener, move |request| routes.of(request)),
        })
    }

    /// The base URL, `http://127.0.0.1:PORT`. S3 has its buckets in the path.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Routes {
    fn of(&self, request: &Request) -> (Service, Router) {
        let refuse = |status: StatusCode, code: &'static str, message: String| {
            let protocol = Protocol::of(request.headers());
            (Service::Unavailable, Router::new().fallback(async move || refusal(protocol, status, code, &message)))
        };
        // A site could lead its own name here (DNS rebinding), and then read the secret.
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        if !host.is_some_and(is_here) {
            let message = "This endpoint answers only as 127.0.0.1 and localhost, with buckets in the path.".to_owned();
            return refuse(StatusCode::FORBIDDEN, "AccessDenied", message);
        }
        let Some(service) = signed_for(request.headers(), request.uri()) else {
            let message =
                "The request is not signed, so it names no service. Use an AWS SDK or the AWS CLI.".to_owned();
            return refuse(StatusCode::FORBIDDEN, "MissingAuthenticationToken", message);
        };
        match service.as_str() {
            "dynamodb" => (Service::DynamoDb, self.dynamodb.clone()),
            "s3" => (Service::S3, self.s3.clone()),
            "sqs" => (Service::Sqs, self.sqs.clone()),
            "secretsmanager" => (Service::Secrets, self.secrets.clone()),
            "events" => (Service::EventBridge, self.events.clone()),
            "cloudformation" => (Service::CloudFormation, self.cloudformation.clone()),
            "lambda" => (Service::LambdaApi, self.lambda.clone()),
            "sts" => (Service::Sts, self.sts.clone()),
            other => {
                let message = format!("There is no stand-in for the service {other:?}.");
                refuse(answers::NOT_AVAILABLE_STATUS, answers::NOT_AVAILABLE, message)
            }
        }
    }
}

/// Returns the service that the request was signed for, whether or not the signature is right. Of the stand-ins, only
/// that of S3 checks signatures.
fn signed_for(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        let (_, credential) = authorization.to_str().ok()?.split_once("Credential=")?;
        return service_of(credential.split([',', ' ']).next()?);
    }
    // A browser sends a URL without asking, so only S3, which checks the signature, takes one that is signed.
    let query = url::form_urlencoded::parse(uri.query()?.as_bytes());
    let credential = query.into_iter().find_map(|(name, value)| (name == "X-Amz-Credential").then_some(value))?;
    service_of(&credential).filter(|service| service == "s3")
}

/// `AKID/DATE/REGION/SERVICE/aws4_request`
fn service_of(credential: &str) -> Option<String> {
    let (scope, "aws4_request") = credential.rsplit_once('/')? else { return None };
    let (_, service) = scope.rsplit_once('/')?;
    (!service.is_empty()).then(|| service.to_owned())
}

#[cfg(test)]
mod tests;
