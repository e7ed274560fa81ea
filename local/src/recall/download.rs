//! The bucket behind the download URLs.
//!
//! Downloads have their own port, so that the wire can tell them from the API, and another name of this machine, as
//! Recall's are on another host. Like S3, the bucket accepts one kind of authentication at a time, signs the method as
//! well, and answers errors in XML. Some downloads come from the API host instead, with a token.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Router,
    extract::{Path, Request, State as Shared},
    http::{Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use uuid::Uuid;

use super::{
    answers, body,
    faults::FileFault,
    meeting::{Files, MeetingFile},
    model::Model,
    state::Status,
};
use crate::wire::lock;

impl Model {
    /// Returns the recording and the bytes of a finished transcript.
    fn file(&self, transcript: Uuid) -> Option<(Uuid, Bytes)> {
        let state = lock(&self.state);
        let found = state.transcripts.get(&transcript).filter(|found| found.progress.status == Status::Done)?;
        state.recordings.get(&found.recording).map(|recording| (recording.id, recording.content.clone()))
    }

    /// Returns the files of a recording, if it still has them.
    fn files(&self, recording: Uuid) -> Option<Arc<Files>> {
        let state = lock(&self.state);
        state.recordings.get(&recording).filter(|found| found.has_files()).map(|found| found.files.clone())
    }

    /// Answers a valid request for the file of a transcript, complete or disturbed. `url` is the requested URL.
    fn send_file(&self, recording: Uuid, transcript: Uuid, content: Bytes, url: &str) -> Response {
        match self.faults.strike_download(recording, transcript) {
            None => body::whole(content),
            Some(fault) => body::disturbed(self, content, fault, || self.elsewhere(url)),
        }
    }

    /// Answers a valid request for another file, complete or disturbed. `url` is the requested URL.
    async fn send_other(&self, wanted: Other, files: Arc<Files>, url: &str) -> Response {
        let Other { file, recording, transcript } = wanted;
        let fault = self.faults.strike_file_download(recording, transcript, file);
        // Generating a large file takes a while.
        let content = match tokio::task::spawn_blocking(move || files.content(file)).await {
            Ok(content) => content,
            Err(_) => return answers::broken(),
        };
        match fault {
            None => body::pieces(&content, true),
            Some(FileFault::NotFound) => no_key(),
            Some(FileFault::Forbidden) => xml(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired"),
            Some(FileFault::Download(fault)) => body::disturbed(self, content.whole(), fault, || self.elsewhere(url)),
            Some(fault) => body::falsified(&content, fault),
        }
    }
}

/// A file other than that of a transcript.
struct Other {
    file: MeetingFile,
    recording: Uuid,
    /// Nil for the files of a recording.
    transcript: Uuid,
}

pub(super) fn router(model: Arc<Model>) -> Router {
    Router::new().fallback(serve).with_state(model)
}

async fn serve(Shared(model): Shared<Arc<Model>>, request: Request) -> Response {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    if request.method() != Method::GET {
        // A HEAD has no body, so it gets no XML either.
        return xml(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", "The URL is signed for GET.");
    }
    if request.headers().contains_key(header::AUTHORIZATION) {
        model.keys_leaked.fetch_add(1, Ordering::SeqCst);
        let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query \
                       string parameter or the Authorization header should be specified";
        return xml(StatusCode::BAD_REQUEST, "InvalidArgument", message);
    }
    if let Some((code, message)) = model.signer.refuses(path, query) {
        return xml(StatusCode::FORBIDDEN, code, message);
    }
    let url = format!("{}{}", model.signer.base_url, request.uri());
    if let Some((recording, file)) = model.file_at(path) {
        let wanted = Other { file, recording, transcript: Uuid::nil() };
        return match model.files(recording) {
            Some(files) => model.send_other(wanted, files, &url).await,
            None => no_key(),
        };
    }
    let Some((transcript, file)) = file_of(path) else { return no_key() };
    match (model.file(transcript), file) {
        (Some((recording, content)), "transcript.json") => model.send_file(recording, transcript, content, &url),
        (Some((recording, _)), "provider_data.json") => match model.files(recording) {
            Some(files) => {
                let wanted = Other { file: MeetingFile::ProviderData, recording, transcript };
                model.send_other(wanted, files, &url).await
            }
            None => no_key(),
        },
        _ => no_key(),
    }
}

/// Serves a file on the API host for a token. The documents do not say whether Recall would also accept a key. The key
/// should not be sent here, so it is refused.
pub(super) async fn by_token(
    Shared(model): Shared<Arc<Model>>,
    Path(kind): Path<String>,
    request: Request,
) -> Response {
    let file = MeetingFile::OF_RECORDING.into_iter().find(|file| file.name() == kind);
    if file.is_none() && kind != "transcript" {
        return answers::no_route().await;
    }
    if request.headers().contains_key(header::AUTHORIZATION) {
        model.keys_leaked.fetch_add(1, Ordering::SeqCst);
        return answers::coded(StatusCode::BAD_REQUEST, "bad_request", "A download takes no key.");
    }
    let query = request.uri().query().unwrap_or_default();
    let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token");
    let Some(id) = token.and_then(|(_, token)| model.signer.id_of(&kind, &token)) else {
        return answers::coded(StatusCode::FORBIDDEN, "permission_denied", "The token is invalid or has expired.");
    };
    let url = format!("{}{}", model.base_url, request.uri());
    if let Some(file) = file {
        let wanted = Other { file, recording: id, transcript: Uuid::nil() };
        return match model.files(id) {
            Some(files) => model.send_other(wanted, files, &url).await,
            None => answers::not_found(),
        };
    }
    match model.file(id) {
        Some((recording, content)) => model.send_file(recording, id, content, &url),
        None => answers::not_found(),
    }
}

/// `/_workspace-…/recordings/…/transcripts/{id}/{file}`
fn file_of(path: &str) -> Option<(Uuid, &str)> {
    let (_, rest) = path.split_once("/transcripts/")?;
    let (id, file) = rest.split_once('/')?;
    Some((id.parse().ok()?, file))
}

fn no_key() -> Response {
    xml(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
}

fn xml(status: StatusCode, code: &str, message: &str) -> Response {
    let id = Uuid::new_v4();
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>{code}</Code><Message>{message}</Message><RequestId>{id}</RequestId></Error>"
    );
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}
