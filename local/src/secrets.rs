//! Secrets Manager: `GetSecretValue`, the only operation that the functions call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    ACCOUNT_ID, REGION,
    wire::{Server, Service, Wire, amz_json, listen, lock, serve},
};

/// Secrets Manager on loopback, in memory. It stops when this is dropped.
pub struct Secrets {
    endpoint: String,
    secrets: Vault,
    router: Router,
    _server: Server,
}

type Vault = Arc<Mutex<HashMap<String, Secret>>>;

#[derive(Clone)]
struct Secret {
    value: String,
    version: Uuid,
}

impl Secrets {
    /// Starts Secrets Manager without any secret.
    pub async fn start(wire: &Wire) -> Result<Secrets> {
        let (listener, port) = listen(0).await?;
        let secrets = Vault::default();
        let router = Router::new().fallback(answer).with_state(secrets.clone());
        Ok(Secrets {
            endpoint: format!("http://127.0.0.1:{port}"),
            secrets,
            router: router.clone(),
            _server: serve(wire, Service::Secrets, listener, router),
        })
    }

    /// The base URL, `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Answers like the endpoint, for another listener.
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// Returns the secret's ARN, even if the secret does not exist.
    pub fn arn(&self, name: &str) -> String {
        arn(name)
    }

    /// Creates the secret, or gives it a new current version.
    pub fn put(&self, name: &str, value: &Value) {
        let secret = Secret { value: value.to_string(), version: Uuid::new_v4() };
        lock(&self.secrets).insert(name.to_owned(), secret);
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
}

async fn answer(State(secrets): State<Vault>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    if target != "secretsmanager.GetSecretValue" {
        return refuse("UnknownOperationException", &format!("there is no {target} here, only GetSecretValue"));
    }
    let Ok(GetSecretValue { secret_id }) = serde_json::from_slice(&body) else {
        return refuse("InvalidParameterException", "SecretId is missing");
    };
    // A secret is identified by its name or its ARN. Ours have no random suffix.
    let prefix = arn("");
    let name = secret_id.strip_prefix(&prefix).unwrap_or(&secret_id);
    let Some(secret) = lock(&secrets).get(name).cloned() else {
        return refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    };
    amz_json(
        StatusCode::OK,
        &json!({
            "ARN": arn(name),
            "Name": name,
            "VersionId": secret.version,
            "VersionStages": ["AWSCURRENT"],
            "SecretString": secret.value,
        }),
    )
}

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:{name}")
}

fn refuse(kind: &str, message: &str) -> Response {
    amz_json(StatusCode::BAD_REQUEST, &json!({"__type": kind, "Message": message}))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(secrets: &Secrets, id: &str) -> Result<(StatusCode, Value)> {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-target", "secretsmanager.GetSecretValue".parse()?);
        let body = Bytes::from(json!({"SecretId": id}).to_string());
        let response = answer(State(secrets.secrets.clone()), headers, body).await;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await?;
        Ok((status, serde_json::from_slice(&body)?))
    }

    #[tokio::test]
    async fn the_newest_value_is_answered_by_name_and_by_arn() -> Result<()> {
        let secrets = Secrets::start(&Wire::default()).await?;
        secrets.put("recall", &json!({"api_key": "old"}));
        secrets.put("recall", &json!({"api_key": "new"}));
        for id in ["recall".to_owned(), arn("recall")] {
            let (status, body) = get(&secrets, &id).await?;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(body["SecretString"], r#"{"api_key":"new"}"#);
        }
        Ok(())
    }

    #[tokio::test]
    async fn an_unknown_secret_is_not_found() -> Result<()> {
        let secrets = Secrets::start(&Wire::default()).await?;
        let (status, body) = get(&secrets, "nothing").await?;
        assert_eq!((status, &body["__type"]), (StatusCode::BAD_REQUEST, &json!("ResourceNotFoundException")));
        Ok(())
    }
}
