//! Reads bytes from a connection with the HTTP client that downloads use.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use pipeline::recall::{http_client, tls};
use reqwest::header::ACCEPT_ENCODING;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

const TEXT: &[u8] = b"not a transcript";
/// The output of `printf 'not a transcript' | gzip -n -9` with gzip 1.12.
const FIRST: [u8; 36] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb, 0xcb, 0x2f, 0x51, 0x48, 0x54, 0x28, 0x29, 0x4a,
    0xcc, 0x2b, 0x4e, 0x2e, 0xca, 0x2c, 0x28, 0x01, 0x00, 0xa9, 0x11, 0x64, 0xdd, 0x10, 0x00, 0x00, 0x00,
];
/// The output of `printf ', and more' | gzip -n -9`.
const SECOND: [u8; 30] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xd3, 0x51, 0x48, 0xcc, 0x4b, 0x51, 0xc8, 0xcd, 0x2f,
    0x4a, 0x05, 0x00, 0x3e, 0xd1, 0x60, 0x0b, 0x0a, 0x00, 0x00, 0x00,
];
/// The length of a gzip stream's header.
const HEADER_BYTES: usize = 10;

/// How an answer states its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunks,
    /// The answer does not state its end: the connection closes.
    Close,
}

/// The result of a download: the file, and whether it is proven complete.
type Read = Result<(Vec<u8>, bool), DownloadError>;

fn answer(framing: Framing, coding: &str, body: &[u8]) -> Vec<u8> {
    let coding = if coding.is_empty() { String::new() } else { format!("Content-Encoding: {coding}\r\n") };
    let (head, first, last) = match framing {
        Framing::Length => (format!("Content-Length: {}\r\n", body.len()), String::new(), ""),
        Framing::Chunks if body.is_empty() => ("Transfer-Encoding: chunked\r\n".to_owned(), String::new(), "0\r\n\r\n"),
        Framing::Chunks => {
            ("Transfer-Encoding: chunked\r\n".to_owned(), format!("{:x}\r\n", body.len()), "\r\n0\r\n\r\n")
        }
        Framing::Close => (String::new(), String::new(), ""),
    };
    let head = format!("HTTP/1.1 200 OK\r\n{coding}{head}\r\n{first}");
    [head.as_bytes(), body, last.as_bytes()].concat()
}

/// Serves these bytes, closes the connection, and returns what the client read.
async fn download(answer: Vec<u8>) -> Read {
    let mut file = Vec::new();
    let is_proven = pieces(answer, |piece| file.extend_from_slice(piece)).await?;
    Ok((file, is_proven))
}

async fn pieces(answer: Vec<u8>, mut take: impl FnMut(&[u8])) -> Result<bool, DownloadError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let server = async {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(connection.read_u8().await.expect("a request"));
        }
        // The client may close the connection early.
        let _ = connection.write_all(&answer).await;
        let _ = connection.shutdown().await;
    };
    let client = async {
        let client = http_client(tls().expect("TLS")).expect("a client").no_gzip().build().expect("a client");
        let response = client.get(url).header(ACCEPT_ENCODING, ACCEPTED).send().await.expect("an answer");
        let mut body = Body::of(response);
        while let Some(piece) = body.next().await? {
            take(&piece);
        }
        Ok(body.is_proven())
    };
    tokio::join!(server, client).1
}

fn is_gzip_error(read: &Read) -> bool {
    matches!(read, Err(DownloadError::Gzip(_)))
}

#[tokio::test]
async fn body_is_proven_by_a_stated_end_and_not_by_a_closed_connection() {
    for (framing, proven) in [(Framing::Length, true), (Framing::Chunks, true), (Framing::Close, false)] {
        for body in [TEXT, b""] {
            let read = download(answer(framing, "", body)).await.expect("it arrives");
            assert_eq!(read, (body.to_vec(), proven), "{framing:?}");
        }
    }
    // A transfer encoding other than `chunked` proves nothing, either.
    let odd = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", TEXT].concat();
    assert_eq!(download(odd).await.expect("it arrives"), (TEXT.to_vec(), false));
}

#[tokio::test]
async fn body_that_ends_before_its_stated_end_is_an_error() {
    for coding in ["", "gzip"] {
        for framing in [Framing::Length, Framing::Chunks] {
            let mut whole = answer(framing, coding, &FIRST);
            // In a chunked body only the end of the last chunk is missing, and the compressed bytes are complete.
            whole.truncate(whole.len() - 1);
            let read = download(whole).await;
            assert!(matches!(read, Err(DownloadError::Interrupted(_))), "{coding} {framing:?}: {read:?}");
        }
    }
    let all_but_the_last_chunk = answer(Framing::Chunks, "gzip", &FIRST);
    let read = download(all_but_the_last_chunk[..all_but_the_last_chunk.len() - 5].to_vec()).await;
    assert!(matches!(read, Err(DownloadError::Interrupted(_))), "{read:?}");
}

#[tokio::test]
async fn gzip_stream_proves_itself() {
    for framing in [Framing::Length, Framing::Chunks, Framing::Close] {
        for coding in ["gzip", "GZIP", "x-gzip"] {
            let read = download(answer(framing, coding, &FIRST)).await.expect("it arrives");
            assert_eq!(read, (TEXT.to_vec(), true), "{framing:?}");
        }
    }
}

#[tokio::test]
async fn gzip_stream_that_is_cut_off_or_damaged_is_an_error() {
    for bytes in 1..FIRST.len() {
        let read = download(answer(Framing::Close, "gzip", &FIRST[..bytes])).await;
        // A single byte is not a gzip stream, but it may be the beginning of one.
        assert!(is_gzip_error(&read), "{bytes} bytes: {read:?}");
    }
    // If the connection closes before the first byte, the file is empty and not proven complete.
    assert_eq!(download(answer(Framing::Close, "gzip", b"")).await.expect("it arrives"), (Vec::new(), false));
    for damaged in [HEADER_BYTES + 4, FIRST.len() - 7, FIRST.len() - 3] {
        let mut body = FIRST;
        body[damaged] ^= 1;
        let read = download(answer(Framing::Length, "gzip", &body)).await;
        assert!(is_gzip_error(&read), "byte {damaged}: {read:?}");
    }
}

#[tokio::test]
async fn gzip_streams_are_all_read_and_a_cut_between_them_is_not_detected() {
    let both = [&FIRST[..], &SECOND].concat();
    for (framing, proven) in [(Framing::Length, true), (Framing::Chunks, true), (Framing::Close, false)] {
        let read = download(answer(framing, "gzip", &both)).await.expect("it arrives");
        assert_eq!(read, ([TEXT, b", and more"].concat(), proven), "{framing:?}");
    }
    for bytes in FIRST.len() + 1..both.len() {
        let read = download(answer(Framing::Close, "gzip", &both[..bytes])).await;
        match bytes - FIRST.len() < HEADER_BYTES {
            true => assert_eq!(read.expect("it arrives"), (TEXT.to_vec(), false), "{bytes} bytes"),
            false => assert!(is_gzip_error(&read), "{bytes} bytes: {read:?}"),
        }
    }
}

#[tokio::test]
async fn bytes_after_a_gzip_stream_are_left_out() {
    for trailer in [&b"\0"[..], &[0; 600], b"more, but not gzip"] {
        for (framing, proven) in [(Framing::Length, true), (Framing::Close, false)] {
            let read = download(answer(framing, "gzip", &[&FIRST[..], trailer].concat())).await.expect("it arrives");
            assert_eq!(read, (TEXT.to_vec(), proven), "{framing:?} {} bytes", trailer.len());
        }
    }
}

#[tokio::test]
async fn file_declared_as_gzip_that_is_not_is_kept_as_it_is() {
    for (framing, proven) in [(Framing::Length, true), (Framing::Close, false)] {
        let read = download(answer(framing, "gzip", TEXT)).await.expect("it arrives");
        assert_eq!(read, (TEXT.to_vec(), proven), "{framing:?}");
    }
    // So is a file that is compressed but not declared as gzip.
    let read = download(answer(Framing::Length, "", &FIRST)).await.expect("it arrives");
    assert_eq!(read, (FIRST.to_vec(), true));
}

#[tokio::test]
async fn piece_is_small_even_if_it_decompresses_to_much_more() {
    const FILE_BYTES: usize = 64 << 20;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..FILE_BYTES / (1 << 20) {
        encoder.write_all(&[b' '; 1 << 20]).expect("memory");
    }
    let body = encoder.finish().expect("memory");
    let (mut all, mut largest) = (0, 0);
    let read = pieces(answer(Framing::Length, "gzip", &body), |piece| {
        all += piece.len();
        largest = largest.max(piece.len());
    });
    assert!(read.await.expect("it arrives"));
    assert_eq!(all, FILE_BYTES);
    // The decoder may hold back some bytes as well.
    assert!(largest <= PIECE_BYTES * 1032 + (64 << 10), "{largest} bytes");
}
