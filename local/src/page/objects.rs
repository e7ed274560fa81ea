//! Serves the objects of the bucket to the browser.

use std::{io, sync::Arc};

use anyhow::Result;
use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::{Shared, broken};
use crate::{s3::Attributes, stack::Stack};

/// The content of a transcript comes from others. Its HTML has a script and a policy of its own, which apply in
/// addition to this one. The sandbox gives it a separate origin, from which it can neither read our page nor press its
/// buttons.
const PAGE_POLICY: &str = "sandbox allow-scripts allow-downloads allow-modals allow-popups";
/// All other objects may only be displayed.
const DATA_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// Serves one object, with its stored type.
pub(super) async fn object(State(shared): State<Arc<Shared>>, Path(key): Path<String>) -> Response {
    let found = tokio::task::spawn_blocking(move || read(&shared.stack, &key)).await;
    match found.map_err(anyhow::Error::from).flatten() {
        Ok(Some((attributes, bytes))) => {
            let stated = attributes.content_type.and_then(|stated| HeaderValue::from_str(&stated).ok());
            let stated = stated.unwrap_or(HeaderValue::from_static("application/octet-stream"));
            let is_page = stated.to_str().is_ok_and(|stated| stated.starts_with("text/html"));
            let policy = HeaderValue::from_static(if is_page { PAGE_POLICY } else { DATA_POLICY });
            ([(header::CONTENT_TYPE, stated), (header::CONTENT_SECURITY_POLICY, policy)], bytes).into_response()
        }
        Ok(None) => (StatusCode::NOT_FOUND, "There is no such object.\n").into_response(),
        Err(error) => broken(&error),
    }
}

/// Returns the object of this key. A key that leads out of the bucket's folder has none.
fn read(stack: &Stack, key: &str) -> Result<Option<(Attributes, Bytes)>> {
    let attributes = match stack.s3.attributes(key) {
        Err(error) if error.downcast_ref::<io::Error>().map(io::Error::kind) == Some(io::ErrorKind::InvalidInput) => {
            None
        }
        other => other?,
    };
    let Some(attributes) = attributes else { return Ok(None) };
    Ok(stack.s3.object(key)?.map(|bytes| (attributes, bytes)))
}
