//! DynamoDB: the embedded emulator, in memory or in one SQLite file.
//!
//! The emulator has its own HTTP server. Ours forwards requests to it, so that calls are recorded and disturbed like
//! all others. Reads for the display and the tests go directly to the database.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri, uri::PathAndQuery},
    response::{IntoResponse as _, Response},
};
use dynoxide::{AttributeValue, Database, DynoxideError, Item};
use hyper_util::{client::legacy, rt::TokioExecutor};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use crate::wire::{Server, Service, Wire, listen, serve};

/// DynamoDB on loopback. It stops when this is dropped.
pub struct DynamoDb {
    endpoint: String,
    database: Database,
    emulator: JoinHandle<()>,
    router: Router,
    _server: Server,
}

impl DynamoDb {
    /// Starts DynamoDB in memory, or with its state in `file`, which survives a kill of this process.
    pub async fn start(wire: &Wire, file: Option<&Path>) -> Result<DynamoDb> {
        let database = match file {
            Some(file) => {
                let path = file.to_str().context("the path of the database is not UTF-8")?;
                Database::new(path)
                    .with_context(|| format!("cannot open {path}; delete it to start with an empty database"))?
            }
            None => Database::memory().context("cannot create a database in memory")?,
        };

        let (listener, hidden_port) = listen(0).await?;
        let emulator = dynoxide::server::serve_with_shutdown(listener, database.clone(), std::future::pending());
        // This task only ends when it is aborted, so there is no result to check.
        let emulator = tokio::spawn(async move { drop(emulator.await) });

        let mut connector = legacy::connect::HttpConnector::new();
        connector.set_nodelay(true);
        let front = Front {
            emulator: format!("127.0.0.1:{hidden_port}"),
            client: legacy::Client::builder(TokioExecutor::new()).build(connector),
        };
        let (listener, port) = listen(0).await?;
        let router = Router::new().fallback(pass_on).with_state(front);
        Ok(DynamoDb {
            endpoint: format!("http://127.0.0.1:{port}"),
            database,
            emulator,
            router: router.clone(),
            _server: serve(wire, Service::DynamoDb, listener, router),
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

    /// Creates the jobs table with its indexes. An existing table stays as it is.
    pub fn create_jobs_table(&self, name: &str) -> Result<()> {
        let request = serde_json::from_value(json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "recording_id", "AttributeType": "S"},
                {"AttributeName": "due_shard", "AttributeType": "S"},
                {"AttributeName": "due_at", "AttributeType": "N"},
                {"AttributeName": "open_shard", "AttributeType": "S"},
                {"AttributeName": "done_at", "AttributeType": "N"},
                {"AttributeName": "attention_shard", "AttributeType": "S"},
                {"AttributeName": "ended_at", "AttributeType": "N"},
            ],
            "KeySchema": [{"AttributeName": "recording_id", "KeyType": "HASH"}],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "due",
                    "KeySchema": [
                        {"AttributeName": "due_shard", "KeyType": "HASH"},
                        {"AttributeName": "due_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                },
                {
                    "IndexName": "open",
                    "KeySchema": [
                        {"AttributeName": "open_shard", "KeyType": "HASH"},
                        {"AttributeName": "done_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                },
                {
                    "IndexName": "attention",
                    "KeySchema": [
                        {"AttributeName": "attention_shard", "KeyType": "HASH"},
                        {"AttributeName": "ended_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                },
            ],
        }))?;
        match self.database.create_table(request) {
            Err(error) if !matches!(error, DynoxideError::ResourceInUseException(_)) => {
                Err(error).with_context(|| format!("cannot create table {name}"))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Returns one item as plain JSON: `{"n": 1}` instead of DynamoDB's `{"n": {"N": "1"}}`.
    pub fn item(&self, table: &str, recording_id: &str) -> Result<Option<Value>> {
        let request = json!({"TableName": table, "Key": {"recording_id": {"S": recording_id}}});
        let found = self.database.get_item(serde_json::from_value(request)?)?;
        found.item.map(plain_item).transpose()
    }

    /// Writes an item in the form of [`DynamoDb::item`], unless the table now has another `version` of it. Returns
    /// whether it was written.
    pub fn replace(&self, table: &str, item: &Value) -> Result<bool> {
        let Value::Object(item) = item else { bail!("an item must be an object") };
        let version = item.get("version").cloned().unwrap_or_default();
        let tagged: Map<_, _> = item.iter().map(|(name, value)| (name.clone(), tag(value))).collect();
        let request = json!({
            "TableName": table, "Item": tagged,
            "ConditionExpression": "#version = :version",
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": {":version": tag(&version)},
        });
        match self.database.put_item(serde_json::from_value(request)?) {
            Ok(_) => Ok(true),
            Err(DynoxideError::ConditionalCheckFailedException(..)) => Ok(false),
            Err(error) => Err(error).context("cannot write the item"),
        }
    }

    /// Removes an item, as a person with access to the table could.
    pub fn remove(&self, table: &str, recording_id: &str) -> Result<()> {
        let request = json!({"TableName": table, "Key": {"recording_id": {"S": recording_id}}});
        self.database.delete_item(serde_json::from_value(request)?)?;
        Ok(())
    }

    /// Returns every item of the table as plain JSON, in no particular order.
    pub fn items(&self, table: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let request = json!({"TableName": table, "ExclusiveStartKey": start});
            let page = self.database.scan(serde_json::from_value(request)?)?;
            for item in page.items.unwrap_or_default() {
                items.push(plain_item(item)?);
            }
            match page.last_evaluated_key {
                Some(key) => start = Some(serde_json::to_value(key)?),
                None => return Ok(items),
            }
        }
    }
}

impl std::fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamoDb").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Drop for DynamoDb {
    fn drop(&mut self) {
        self.emulator.abort();
    }
}

#[derive(Clone)]
struct Front {
    emulator: String,
    client: legacy::Client<legacy::connect::HttpConnector, Body>,
}

async fn pass_on(State(front): State<Front>, mut request: Request) -> Response {
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let uri = Uri::builder().scheme("http").authority(front.emulator).path_and_query(path).build();
    let answer = match uri {
        Ok(uri) => {
            *request.uri_mut() = uri;
            front.client.request(request).await.map_err(anyhow::Error::from)
        }
        Err(error) => Err(error.into()),
    };
    match answer {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the DynamoDB emulator does not answer");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

fn plain_item(item: Item) -> Result<Value> {
    let members: Result<Map<_, _>> = item.into_iter().map(|(name, value)| Ok((name, plain(value)?))).collect();
    members.map(Value::Object)
}

fn plain(value: AttributeValue) -> Result<Value> {
    let tagged = serde_json::to_value(value)?;
    untag(tagged)
}

fn untag(tagged: Value) -> Result<Value> {
    let Value::Object(tagged) = tagged else { bail!("an attribute value without its type") };
    let (kind, value) = tagged.into_iter().next().context("an attribute value without its type")?;
    Ok(match (kind.as_str(), value) {
        ("N", Value::String(digits)) => number(&digits)?,
        ("NS", Value::Array(numbers)) => numbers
            .iter()
            .map(|digits| number(digits.as_str().unwrap_or_default()))
            .collect::<Result<Vec<_>>>()
            .map(Value::Array)?,
        ("L", Value::Array(values)) => values.into_iter().map(untag).collect::<Result<Vec<_>>>().map(Value::Array)?,
        ("M", Value::Object(members)) => {
            let members: Result<Map<_, _>> =
                members.into_iter().map(|(name, value)| Ok((name, untag(value)?))).collect();
            Value::Object(members?)
        }
        ("NULL", _) => Value::Null,
        // Strings, booleans, sets of strings, and bytes in base64.
        (_, value) => value,
    })
}

/// Converts plain JSON back, which has no sets and no bytes.
fn tag(value: &Value) -> Value {
    match value {
        Value::Null => json!({"NULL": true}),
        Value::Bool(flag) => json!({"BOOL": flag}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::String(text) => json!({"S": text}),
        Value::Array(values) => json!({"L": values.iter().map(tag).collect::<Vec<_>>()}),
        Value::Object(members) => {
            let members: Map<_, _> = members.iter().map(|(name, value)| (name.clone(), tag(value))).collect();
            json!({"M": members})
        }
    }
}

/// DynamoDB's numbers are text. Integers stay exact if they fit.
fn number(digits: &str) -> Result<Value> {
    if let Ok(whole) = digits.parse::<i64>() {
        return Ok(whole.into());
    }
    let float: f64 = digits.parse().with_context(|| format!("{digits} is not a number"))?;
    serde_json::Number::from_f64(float).map(Value::Number).ok_or_else(|| anyhow!("{digits} is not a number"))
}

#[cfg(test)]
mod tests;
