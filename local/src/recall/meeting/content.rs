//! The bytes of a file at Recall.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

/// The bytes of a file, in pieces. Pieces may share their memory, so that a large file needs little of it.
#[derive(Clone, Debug)]
pub struct Content(Arc<[Bytes]>);

impl Content {
    /// Returns the file that consists of these pieces.
    pub fn of_pieces(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Self(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
    }

    /// The size in bytes.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Returns whether the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns all bytes in one piece, which takes as much memory as the file is large.
    pub fn whole(&self) -> Bytes {
        match &*self.0 {
            [only] => only.clone(),
            pieces => pieces.concat().into(),
        }
    }

    pub(in crate::recall) fn pieces(&self) -> &[Bytes] {
        &self.0
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::of_pieces([bytes])
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Value> for Content {
    fn from(json: Value) -> Self {
        json.to_string().into_bytes().into()
    }
}
