//! The body of a download. It is decompressed here, and it is either proven complete or not.
//!
//! HTTP states where a body ends, by a length or by a last chunk, and the HTTP client fails on a body that ends
//! earlier. A body that ends with its connection may have been cut off anywhere. If the body is one gzip stream, the
//! stream proves it complete: it states its own end, size and checksum.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::write::GzDecoder;
use reqwest::{
    Response,
    header::{CONTENT_ENCODING, HeaderMap, TRANSFER_ENCODING},
};

use super::DownloadError;

/// The value of `Accept-Encoding`.
pub(crate) const ACCEPTED: &str = "gzip";
/// Compressed bytes are decompressed in pieces of this size. One byte becomes at most 1,032 bytes, so a piece becomes
/// at most 4 MiB.
const PIECE_BYTES: usize = 4 << 10;
/// Every gzip stream begins with these bytes.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The bytes of a file, in the order of their arrival.
pub(crate) struct Body {
    response: Response,
    /// Whether HTTP states where the body ends.
    is_framed: bool,
    /// Whether `Content-Encoding` names gzip.
    declares_gzip: bool,
    gzip: Option<Gzip>,
    /// Bytes that have arrived and were not returned yet.
    pending: Bytes,
    has_begun: bool,
    has_ended: bool,
}

impl Body {
    /// Wraps a response of a client that does not decompress bodies itself.
    pub(crate) fn of(response: Response) -> Self {
        let headers = response.headers();
        let (is_framed, declares_gzip) = (response.content_length().is_some() || is_chunked(headers), is_gzip(headers));
        Self {
            response,
            is_framed,
            declares_gzip,
            gzip: None,
            pending: Bytes::new(),
            has_begun: false,
            has_ended: false,
        }
    }

    /// Returns the next bytes of the file, or `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        while !self.has_ended {
            if self.pending.is_empty() {
                self.receive().await?;
            }
            let bytes = match &mut self.gzip {
                None => std::mem::take(&mut self.pending),
                Some(gzip) if self.has_ended => gzip.finish().map_err(DownloadError::Gzip)?.into(),
                Some(gzip) => {
                    let piece = self.pending.split_to(self.pending.len().min(PIECE_BYTES));
                    gzip.push(&piece).map_err(DownloadError::Gzip)?.into()
                }
            };
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Returns whether the body is proven complete. It can be called once the body has ended.
    pub(crate) fn is_proven(&self) -> bool {
        self.is_framed || self.gzip.as_ref().is_some_and(Gzip::is_one_stream)
    }

    async fn receive(&mut self) -> Result<(), DownloadError> {
        let chunk = self.response.chunk().await.map_err(|error| DownloadError::Interrupted(error.without_url()))?;
        match chunk {
            Some(chunk) => self.pending = chunk,
            None => self.has_ended = true,
        }
        if !self.has_begun && !self.pending.is_empty() {
            self.has_begun = true;
            // A file that is declared as gzip but is not gzip is stored as it is.
            let is_compressed = self.pending.starts_with(&GZIP_MAGIC) || self.pending.len() < GZIP_MAGIC.len();
            self.gzip = (self.declares_gzip && is_compressed).then(Gzip::new);
        }
        Ok(())
    }
}

/// Returns whether a last chunk states the end of the body. HTTP clients treat a body with another transfer encoding as
/// one without a stated end.
fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back().and_then(|value| value.to_str().ok());
    let last = last.and_then(|codings| codings.rsplit(',').next());
    last.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

fn is_gzip(headers: &HeaderMap) -> bool {
    let coding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    ["gzip", "x-gzip"].iter().any(|name| coding.eq_ignore_ascii_case(name))
}

/// Decompresses consecutive gzip streams. Bytes after the last stream that are not a gzip stream are left out, as the
/// command `gzip` does.
struct Gzip {
    stream: GzDecoder<Vec<u8>>,
    has_begun: bool,
    /// How many streams are complete.
    complete: u32,
    has_trailer: bool,
}

impl Gzip {
    fn new() -> Self {
        Self { stream: GzDecoder::new(Vec::new()), has_begun: false, complete: 0, has_trailer: false }
    }

    fn push(&mut self, mut bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut file = Vec::new();
        while !bytes.is_empty() && !self.has_trailer {
            match self.stream.write(bytes) {
                Ok(0) => file.append(&mut self.end_stream()?),
                Ok(taken) => {
                    self.has_begun = true;
                    bytes = bytes.get(taken..).unwrap_or_default();
                }
                Err(_) if self.complete > 0 && self.stream.header().is_none() => self.has_trailer = true,
                Err(error) => return Err(error),
            }
        }
        file.append(self.stream.get_mut());
        Ok(file)
    }

    /// Ends the last stream. No more bytes follow.
    fn finish(&mut self) -> io::Result<Vec<u8>> {
        if self.complete > 0 && self.stream.header().is_none() {
            self.has_trailer |= self.has_begun;
            return Ok(Vec::new());
        }
        self.end_stream()
    }

    /// Ends a stream, and checks the size and the checksum that it states.
    fn end_stream(&mut self) -> io::Result<Vec<u8>> {
        let file = std::mem::replace(&mut self.stream, GzDecoder::new(Vec::new())).finish()?;
        self.has_begun = false;
        self.complete += 1;
        Ok(file)
    }

    /// Returns whether the file is exactly one stream. Between two streams a cut could not be detected.
    fn is_one_stream(&self) -> bool {
        self.complete == 1 && !self.has_trailer
    }
}

#[cfg(test)]
mod tests;
