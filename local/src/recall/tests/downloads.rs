//! Pre-signed URLs, and disturbed bodies.

use std::{io::Read as _, time::Duration};

use anyhow::{Context as _, Result};
use axum::http::{Method, StatusCode};
use bytes::Bytes;
use uuid::Uuid;

use super::{Answer, Lab, send, soon};
use crate::{
    recall::{DownloadFault, Meeting, SimulatorConfig, Target},
    wire::Service,
};

async fn url(lab: &Lab, transcript: Uuid) -> Result<String> {
    let shown = lab.get(&format!("/api/v1/transcript/{transcript}/")).await?.json()?;
    Ok(shown["data"]["download_url"].as_str().context("no URL")?.to_owned())
}

async fn download(url: &str) -> Result<Answer> {
    send(Method::GET, url, &[], "").await
}

fn says(answer: &Answer, status: StatusCode, code: &str) -> bool {
    answer.status == status && String::from_utf8_lossy(&answer.body).contains(&format!("<Code>{code}</Code>"))
}

#[tokio::test]
async fn a_url_needs_no_other_credential() -> Result<()> {
    let lab = Lab::quick().await?;
    let meeting = Meeting::short(7);
    let content = meeting.content().clone();
    let recording = lab.recall.add_recording(meeting);
    let transcript = lab.transcribe(recording).await?;
    let url = url(&lab, transcript).await?;
    assert!(url.starts_with("http://localhost:") && url.contains(&format!("/recordings/{recording}/")));
    for part in ["AWSAccessKeyId=ASIA", "Signature=", "Expires=", "x-amz-security-token="] {
        assert!(url.contains(part), "{part}");
    }
    let file = download(&url).await?;
    assert_eq!((file.status, &file.body), (StatusCode::OK, &content));
    assert_eq!(file.header("content-length"), content.len().to_string());
    assert_eq!(lab.recall.transcript_bytes(transcript), Some(content));
    assert_eq!(lab.wire.count(Service::Download, "GET /_workspace-"), 1);

    assert!(says(
        &send(Method::GET, &url, &[("authorization", "Token x")], "").await?,
        StatusCode::BAD_REQUEST,
        "InvalidArgument"
    ));
    assert_eq!(send(Method::HEAD, &url, &[], "").await?.status, StatusCode::FORBIDDEN);
    let forged = url.replace("Expires=1", "Expires=2");
    assert!(says(&download(&forged).await?, StatusCode::FORBIDDEN, "SignatureDoesNotMatch"));
    lab.recall.expire_urls();
    assert!(says(&download(&url).await?, StatusCode::FORBIDDEN, "AccessDenied"));
    assert_eq!(download(&self::url(&lab, transcript).await?).await?.status, StatusCode::OK);
    let last = self::url(&lab, transcript).await?;
    lab.recall.delete_recording(recording);
    assert!(says(&download(&last).await?, StatusCode::NOT_FOUND, "NoSuchKey"));
    Ok(())
}

#[tokio::test]
async fn a_url_ends_after_six_hours() -> Result<()> {
    // Six hours are 90 ms here.
    let lab = Lab::start(SimulatorConfig { speed: 240_000.0, ..SimulatorConfig::default() }).await?;
    let transcript = lab.transcribe(lab.recall.add_recording(Meeting::silent())).await?;
    let url = url(&lab, transcript).await?;
    assert_eq!(download(&url).await?.body, "[]");
    tokio::time::sleep(Duration::from_millis(95)).await;
    assert!(says(&download(&url).await?, StatusCode::FORBIDDEN, "AccessDenied"));
    Ok(())
}

#[tokio::test]
async fn urls_that_are_missing_or_lead_astray() -> Result<()> {
    let lab = Lab::quick().await?;
    let transcript = lab.transcribe(lab.recall.add_recording(Meeting::silent())).await?;
    let faults = lab.recall.faults();
    faults.null_download_url(Target::next(1));
    assert!(url(&lab, transcript).await.is_err());
    faults.download_url_elsewhere(Target::transcript(transcript).times(1));
    assert!(url(&lab, transcript).await?.starts_with("http://[::ffff:7f00:1]:"));
    faults.download(Target::next(1), DownloadFault::Redirected);
    let answer = download(&url(&lab, transcript).await?).await?;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(download(answer.header("location")).await?.body, "[]");
    Ok(())
}

#[tokio::test]
async fn the_api_host_serves_files_for_a_token_alone() -> Result<()> {
    let lab = Lab::quick().await?;
    let transcript = lab.transcribe(lab.recall.add_recording(Meeting::short(3))).await?;
    lab.recall.faults().download_url_on_api_host(Target::transcript(transcript));
    let url = url(&lab, transcript).await?;
    let place = format!("{}/api/v1/download/transcript?token=", lab.recall.base_url());
    assert!(url.starts_with(&place), "{url}");
    assert_eq!(Some(download(&url).await?.body), lab.recall.transcript_bytes(transcript));
    assert_eq!(download(&format!("{place}{transcript}")).await?.status, StatusCode::FORBIDDEN);
    assert_eq!(download(&url.replace("token=", "token=0")).await?.status, StatusCode::FORBIDDEN);

    assert_eq!(lab.recall.keys_leaked(), 0);
    let key = [("authorization", "Token x")];
    assert_eq!(send(Method::GET, &url, &key, "").await?.status, StatusCode::BAD_REQUEST);
    assert_eq!(lab.recall.keys_leaked(), 1);

    lab.recall.expire_urls();
    assert_eq!(download(&url).await?.status, StatusCode::FORBIDDEN);
    let last = self::url(&lab, transcript).await?;
    lab.recall.delete_transcript(transcript);
    assert_eq!(download(&last).await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn bodies_that_end_early() -> Result<()> {
    let lab = Lab::quick().await?;
    let transcript = lab.transcribe(lab.recall.add_recording(Meeting::short(3))).await?;
    for fault in [DownloadFault::Truncated { after: 9000 }, DownloadFault::CutChunked { after: 9000 }] {
        lab.recall.faults().download(Target::next(1), fault);
        assert!(download(&url(&lab, transcript).await?).await.is_err(), "{fault:?}");
    }
    lab.recall.faults().download(Target::next(1), DownloadFault::Gzip);
    let answer = download(&url(&lab, transcript).await?).await?;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(lab.recall.transcript_bytes(transcript), Some(unzipped(&answer.body)?));
    Ok(())
}

/// Returns the content of this gzip, if its checksum is correct.
fn unzipped(compressed: &Bytes) -> std::io::Result<Bytes> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&**compressed).read_to_end(&mut plain)?;
    Ok(plain.into())
}

#[tokio::test]
async fn bodies_that_arrive_whole_and_are_still_wrong() -> Result<()> {
    let lab = Lab::quick().await?;
    for content in [&b"not JSON at all, and long enough to be cut"[..], b"[]", b""] {
        let content = Bytes::from_static(content);
        let transcript = lab.transcribe(lab.recall.add_recording(Meeting::with_content(content.clone()))).await?;
        let get = async |fault| {
            lab.recall.faults().download(Target::next(1), fault);
            download(&url(&lab, transcript).await?).await
        };
        let answer = get(DownloadFault::Gzip).await?;
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        assert_eq!(unzipped(&answer.body)?, content);
        for fault in [DownloadFault::GzipCut { after: 15 }, DownloadFault::GzipWrongChecksum] {
            let answer = get(fault).await?;
            assert_eq!((answer.status, answer.header("content-encoding")), (StatusCode::OK, "gzip"), "{fault:?}");
            assert_eq!(answer.header("content-length"), answer.body.len().to_string(), "{fault:?}");
            assert!(unzipped(&answer.body).is_err(), "{fault:?} of {content:?}");
        }
        let answer = get(DownloadFault::Empty).await?;
        assert_eq!((answer.status, answer.header("content-length"), answer.body.len()), (StatusCode::OK, "0", 0));
        assert_eq!(download(&url(&lab, transcript).await?).await?.body, content);
    }
    Ok(())
}

#[tokio::test]
async fn a_stalled_download_goes_on() -> Result<()> {
    let lab = Lab::quick().await?;
    let transcript = lab.transcribe(lab.recall.add_recording(Meeting::short(3))).await?;
    lab.recall.faults().download(Target::next(1), DownloadFault::Stalled { after: 100 });
    let url = url(&lab, transcript).await?;
    let mut under_way = tokio::spawn(async move { download(&url).await });
    assert!(tokio::time::timeout(Duration::from_millis(30), &mut under_way).await.is_err());
    lab.recall.faults().release_downloads();
    assert_eq!(Some(soon(under_way).await??.map(|answer| answer.body)?), lab.recall.transcript_bytes(transcript));
    Ok(())
}
