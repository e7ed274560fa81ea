//! The body of a download, complete or disturbed.

use std::{io, io::Write as _, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, Version, header},
    response::Response,
};
use bytes::Bytes;
use futures_util::stream;

use serde_json::{Value, json};

use super::{
    faults::{DownloadFault, FileFault},
    meeting::Content,
    model::Model,
};

/// The size of the pieces in which spaces are sent, in bytes.
const SPACES: usize = 1 << 20;

/// All bytes, with their Content-Length.
pub(super) fn whole(content: Bytes) -> Response {
    file(Body::from(content))
}

/// All bytes, with their Content-Length if it is `stated`.
pub(super) fn pieces(content: &Content, stated: bool) -> Response {
    let pieces: Vec<_> = content.pieces().iter().cloned().map(Ok::<_, io::Error>).collect();
    let mut response = file(Body::from_stream(stream::iter(pieces)));
    if stated {
        response.headers_mut().insert(header::CONTENT_LENGTH, content.len().into());
    }
    response
}

/// A complete download of something else than the file.
pub(super) fn falsified(content: &Content, fault: FileFault) -> Response {
    let bytes = content.whole();
    let entries = || serde_json::from_slice::<Vec<Value>>(&bytes).unwrap_or_default();
    let json = |value: Value| pieces(&value.into(), true);
    match fault {
        FileFault::NotJson => whole(Bytes::from_static(b"<!doctype html>\n<html><body>Not here</body></html>\n")),
        FileFault::Wrapped => json(json!({"results": entries()})),
        FileFault::WrongShapes => {
            let odd = [Value::Null, json!(7), json!("text"), json!([]), json!({})];
            json(odd.into_iter().chain(entries().into_iter().map(with_other_types)).collect())
        }
        FileFault::Half => whole(bytes.slice(..bytes.len() / 2)),
        FileFault::Twice => json(entries().into_iter().flat_map(|entry| [entry.clone(), entry]).collect()),
        FileFault::Padded { bytes: size, stated } => pieces(&padded(&bytes, size), stated),
        FileFault::NoUrl
        | FileFault::Elsewhere
        | FileFault::OnApiHost
        | FileFault::NotFound
        | FileFault::Forbidden
        | FileFault::Download(_) => whole(bytes),
    }
}

/// Returns the entry with a value of another type in each of its fields.
fn with_other_types(entry: Value) -> Value {
    let Value::Object(fields) = entry else { return entry };
    let other = |value: Value| match value {
        Value::Null => json!(false),
        Value::Bool(_) => json!("yes"),
        Value::Number(number) => json!([number]),
        Value::String(text) => json!({"value": text}),
        Value::Array(_) | Value::Object(_) => json!(value.to_string()),
    };
    fields.into_iter().map(|(name, value)| (name, other(value))).collect()
}

/// Returns a file of this size, with spaces before its last byte.
fn padded(bytes: &Bytes, size: usize) -> Content {
    let (start, end) = (bytes.slice(..bytes.len().saturating_sub(1)), bytes.slice(bytes.len().saturating_sub(1)..));
    let missing = size.saturating_sub(bytes.len());
    let spaces = Bytes::from(vec![b' '; SPACES]);
    let full = std::iter::repeat_n(spaces.clone(), missing / SPACES);
    Content::of_pieces([start].into_iter().chain(full).chain([spaces.slice(..missing % SPACES), end]))
}

pub(super) fn disturbed(
    model: &Model,
    content: Bytes,
    fault: DownloadFault,
    elsewhere: impl FnOnce() -> String,
) -> Response {
    match fault {
        DownloadFault::Truncated { after } => {
            let length = content.len();
            let mut response = file(cut(content, after));
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            response
        }
        DownloadFault::CutChunked { after } => file(cut(content, after)),
        DownloadFault::Stalled { after } => {
            let length = content.len();
            let mut response = file(stalled(model, content, after));
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            response
        }
        DownloadFault::Redirected => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::FOUND;
            if let Ok(location) = HeaderValue::from_str(&elsewhere()) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        DownloadFault::Gzip => gzipped(gzip([&content[..]])),
        DownloadFault::GzipCut { after } => {
            let mut compressed = gzip([&content[..]]);
            compressed.truncate(after);
            gzipped(compressed)
        }
        DownloadFault::GzipWrongChecksum => {
            let mut compressed = gzip([&content[..]]);
            // The last eight bytes are the checksum and the length.
            if let Some(byte) = compressed.iter_mut().nth_back(7) {
                *byte = !*byte;
            }
            gzipped(compressed)
        }
        DownloadFault::Unframed { gzip: false, after } => unframed(content, after),
        DownloadFault::Unframed { gzip: true, after } => {
            let mut response = unframed(gzip([&content[..]]).into(), after);
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        DownloadFault::Empty => whole(Bytes::new()),
        DownloadFault::Trickle { every } => file(trickling(content, every)),
        DownloadFault::Bomb { mib } => gzipped(gzip(std::iter::repeat_n(&[b' '; 1 << 20][..], mib))),
    }
}

fn gzipped(content: Vec<u8>) -> Response {
    let mut response = file(Body::from(content));
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

/// A receiver cannot tell the end of this body from a broken connection.
fn unframed(content: Bytes, after: usize) -> Response {
    let sent = content.slice(..after.min(content.len()));
    let mut response = file(Body::from_stream(stream::once(async { Ok::<_, io::Error>(sent) })));
    *response.version_mut() = Version::HTTP_10;
    response
}

/// The type that S3 gives to objects without one. Recall's type is not documented.
fn file(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("binary/octet-stream"));
    response
}

enum Part {
    First,
    Then,
    Last,
}

/// Sends the first bytes and then an error, which closes the connection.
fn cut(content: Bytes, after: usize) -> Body {
    let first = content.slice(..after.min(content.len()));
    Body::from_stream(stream::try_unfold(Part::First, move |part| {
        let first = first.clone();
        async move {
            match part {
                Part::First => Ok(Some((first, Part::Then))),
                Part::Then | Part::Last => {
                    // The server sends the first bytes while the body is pending.
                    tokio::task::yield_now().await;
                    Err(io::Error::other("the body ends early on purpose"))
                }
            }
        }
    }))
}

/// Sends the first bytes, and the others once stalled downloads are released.
fn stalled(model: &Model, mut content: Bytes, after: usize) -> Body {
    let first = content.split_to(after.min(content.len()));
    let released = model.faults.release();
    Body::from_stream(stream::unfold(Part::First, move |part| {
        let (first, rest, mut released) = (first.clone(), content.clone(), released.clone());
        async move {
            match part {
                Part::First => Some((Ok::<_, io::Error>(first), Part::Then)),
                Part::Then => {
                    // If the sender is gone, nothing can release the download, so it continues.
                    let _ = released.changed().await;
                    Some((Ok(rest), Part::Last))
                }
                Part::Last => None,
            }
        }
    }))
}

/// Sends the file, and then spaces until the receiver is gone.
fn trickling(content: Bytes, every: Duration) -> Body {
    Body::from_stream(stream::unfold(Some(content), move |content| async move {
        let piece = match content {
            Some(content) => content,
            None => {
                tokio::time::sleep(every).await;
                Bytes::from_static(b" ")
            }
        };
        Some((Ok::<_, io::Error>(piece), None))
    }))
}

fn gzip<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for piece in pieces {
        // Writing to memory cannot fail.
        let _ = encoder.write_all(piece);
    }
    encoder.finish().unwrap_or_default()
}
