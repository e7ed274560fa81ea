//! S3 on a folder: an object is the file `ROOT/BUCKET/KEY`, so results can simply be opened.
//!
//! `s3s` handles the protocol and the signatures. The operations are ours (`api` and `store`), because the pipeline
//! depends on what S3 *refuses*: a wrong checksum, a wrong size, or a part that is too small.

mod api;
mod checksum;
mod list;
mod request;
mod store;
mod tags;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};

use crate::{
    ACCESS_KEY, SECRET_KEY,
    wire::{Server, Service, Wire, listen, serve},
};
pub use checksum::Algorithm;
pub use store::{Attributes, OpenUpload};
use store::{Stated, Store};
pub use tags::Tags;

/// S3 on loopback with one bucket, addressed by path. It stops when this is dropped.
pub struct S3 {
    endpoint: String,
    root: PathBuf,
    store: Arc<Store>,
    router: Router,
    _server: Server,
}

impl S3 {
    /// Starts S3 on the folder `root`, which is created if needed. Existing objects and open uploads stay.
    pub async fn start(wire: &Wire, root: &Path, bucket: &str) -> Result<S3> {
        let store = Store::open(root, bucket)
            .with_context(|| format!("{} cannot be used as the folder of the bucket", root.display()))?;
        let store = Arc::new(store);
        let mut service = S3ServiceBuilder::new(api::Api::new(store.clone()));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let router = Router::new().fallback(answer).with_state(service.build());
        let (listener, port) = listen(0).await?;
        Ok(S3 {
            endpoint: format!("http://127.0.0.1:{port}"),
            root: root.to_owned(),
            store,
            router: router.clone(),
            _server: serve(wire, Service::S3, listener, router),
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

    /// The folder that contains the bucket's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the bytes of an object.
    pub fn object(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.store.get(key)?.map(|(_, bytes)| bytes.into()))
    }

    /// Returns the attributes of an object.
    pub fn attributes(&self, key: &str) -> Result<Option<Attributes>> {
        Ok(self.store.attributes(key)?)
    }

    /// Returns the tags of an object.
    pub fn tags(&self, key: &str) -> Result<Option<Tags>> {
        Ok(self.attributes(key)?.map(|attributes| attributes.tags))
    }

    /// Stores an object as another client could.
    pub fn put(&self, key: &str, content_type: &str, bytes: &[u8]) -> Result<()> {
        let attributes = Attributes {
            key: key.to_owned(),
            content_type: Some(content_type.to_owned()),
            content_encoding: None,
            cache_control: None,
            metadata: Default::default(),
            tags: Tags::new(),
            bytes: 0,
            e_tag: String::new(),
            checksums: Default::default(),
        };
        self.store.put(attributes, bytes, &Stated::default())?;
        Ok(())
    }

    /// Returns the keys of all objects, sorted.
    pub fn keys(&self) -> Result<Vec<String>> {
        Ok(self.store.keys()?)
    }

    /// Removes an object, as a person with access to the bucket could.
    pub fn remove(&self, key: &str) -> Result<()> {
        Ok(self.store.delete(key)?)
    }

    /// Returns the multipart uploads that were neither completed nor aborted, by key.
    pub fn open_uploads(&self) -> Result<Vec<OpenUpload>> {
        Ok(self.store.uploads()?)
    }
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3").field("endpoint", &self.endpoint).field("root", &self.root).finish_non_exhaustive()
    }
}

async fn answer(State(service): State<S3Service>, request: Request) -> Response {
    match service.call(request.map(s3s::Body::http_body_unsync)).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::error!(error = %s3s::StdError::from(error), "S3 does not answer");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests;
