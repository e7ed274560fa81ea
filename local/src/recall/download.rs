//! Pre-signed download URLs, and the bucket behind them.
//!
//! They are served on a port of their own, so that the wire tells them from the API, and under another name of this
//! machine, as Recall's are on another host. Like S3 they know one kind of authentication at a time, sign the method
//! too, and answer errors in XML. Some downloads come from the API host instead, by a token.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State as Shared},
    http::{Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use ring::hmac;
use tokio::{sync::watch, time::Instant};
use url::Url;
use uuid::Uuid;

use super::{
    answers,
    artifacts::Urls,
    body,
    clock::now,
    config::random_bytes,
    model::{Model, Status, Transcript},
};
use crate::wire::lock;

/// The name of this machine that downloads are under; the API is under its address.
pub const DOWNLOAD_HOST: &str = "localhost";
/// Another address of the same machine: what a URL to a host that is not Recall's looks like here.
const ELSEWHERE: &str = "[::ffff:127.0.0.1]";
/// Where the API host serves the files of transcripts, to any caller with a token.
pub(super) const API_PATH: &str = "/api/v1/download/transcript";

/// Makes and checks the URLs.
#[derive(Debug)]
pub(super) struct Signer {
    /// `http://localhost:PORT`
    base_url: String,
    workspace: Uuid,
    key: hmac::Key,
    started: Instant,
    lifetime: Duration,
    /// URLs handed out before this moment are over.
    over_before: watch::Sender<Duration>,
}

impl Signer {
    /// `lifetime` is in real time.
    pub(super) fn new(base_url: String, workspace: Uuid, lifetime: Duration) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random_bytes());
        let over_before = watch::Sender::new(Duration::ZERO);
        Self { base_url, workspace, key, started: Instant::now(), lifetime, over_before }
    }

    /// A fresh URL; no two are alike.
    fn url(&self, path: &str) -> String {
        let issued = self.started.elapsed().as_nanos().to_string();
        let expires = (now() + self.lifetime).unix_timestamp().to_string();
        // The issuing moment is inside the token, as the session's end is inside a real one: `Expires` alone
        // counts in seconds, too coarse for a fast clock.
        let token = format!("{}.{issued}", BASE64_STANDARD.encode(random_bytes()));
        let signature = BASE64_STANDARD.encode(hmac::sign(&self.key, signed(path, &expires, &token).as_bytes()));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("AWSAccessKeyId", "ASIAQ3EGRIRA7LDWVXYZ").append_pair("Signature", &signature);
        query.append_pair("x-amz-security-token", &token).append_pair("Expires", &expires);
        format!("{}{path}?{}", self.base_url, query.finish())
    }

    /// A fresh token for the file of a transcript, to be sent to the API host.
    fn token(&self, transcript: Uuid) -> String {
        let named = format!("{transcript}.{}", self.started.elapsed().as_nanos());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, named.as_bytes()));
        format!("{named}.{signature}")
    }

    /// The transcript that a token is good for.
    fn transcript_of(&self, token: &str) -> Option<Uuid> {
        let (named, signature) = token.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.key, named.as_bytes(), &signature).ok()?;
        let (transcript, issued) = named.split_once('.')?;
        let issued = Duration::from_nanos(issued.parse().ok()?);
        transcript.parse().ok().filter(|_| !self.is_over(issued))
    }

    /// Whether a URL that was handed out then works no more.
    fn is_over(&self, issued: Duration) -> bool {
        issued < *self.over_before.borrow() || self.started.elapsed() >= issued + self.lifetime
    }

    /// Why a URL is refused, if it is: the code and the message.
    fn refuses(&self, path: &str, query: &str) -> Option<(&'static str, &'static str)> {
        let pair = |name: &str| {
            let found = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        let (expires, token) = (pair("Expires"), pair("x-amz-security-token"));
        let signature = BASE64_STANDARD.decode(pair("Signature")).unwrap_or_default();
        if hmac::verify(&self.key, signed(path, &expires, &token).as_bytes(), &signature).is_err() {
            let message = "The request signature we calculated does not match the signature you provided.";
            return Some(("SignatureDoesNotMatch", message));
        }
        let issued = token.rsplit('.').next().and_then(|issued| issued.parse().ok()).map(Duration::from_nanos);
        self.is_over(issued.unwrap_or_default()).then_some(("AccessDenied", "Request has expired"))
    }

    /// Ends every URL handed out so far.
    pub(super) fn expire_all(&self) {
        self.over_before.send_replace(self.started.elapsed());
    }
}

fn signed(path: &str, expires: &str, token: &str) -> String {
    format!("GET\n{expires}\nx-amz-security-token:{token}\n{path}")
}

impl Model {
    /// Fresh URLs of a `done` transcript.
    pub(super) fn urls(&self, transcript: &Transcript) -> Option<Urls> {
        let folder = format!("{}/transcripts/{}", self.folder(transcript.recording), transcript.id);
        // Recall's own engine leaves no raw data of use.
        let raw = !transcript.provider.contains_key("recallai_async");
        (transcript.progress.status == Status::Done).then(|| Urls {
            transcript: Some(self.signer.url(&format!("{folder}/transcript.json"))),
            provider_data: raw.then(|| self.signer.url(&format!("{folder}/provider_data.json"))),
        })
    }

    /// A URL of other media. It is well signed, but the simulator keeps no such file.
    pub(super) fn media_url(&self, recording: Uuid, kind: &str, file: &str) -> String {
        self.signer.url(&format!("{}/{kind}/{}/{file}", self.folder(recording), self.media_id(recording, kind)))
    }

    /// The same id for the same artifact each time it is shown.
    pub(super) fn media_id(&self, recording: Uuid, kind: &str) -> Uuid {
        let digest = ring::digest::digest(&ring::digest::SHA256, format!("{recording} {kind}").as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_ref()[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A fresh URL of a transcript's file on the API host.
    pub(super) fn api_host_url(&self, transcript: Uuid) -> String {
        format!("{}{API_PATH}?token={}", self.base_url, self.signer.token(transcript))
    }

    /// The same URL on a host that is not Recall's.
    pub(super) fn elsewhere(&self, url: &str) -> String {
        let Ok(mut moved) = Url::parse(url) else { return url.to_owned() };
        match moved.set_host(Some(ELSEWHERE)) {
            Ok(()) => moved.into(),
            Err(_) => url.to_owned(),
        }
    }

    /// The recording and the bytes of a transcript that is done.
    fn file(&self, transcript: Uuid) -> Option<(Uuid, Bytes)> {
        let state = lock(&self.state);
        let found = state.transcripts.get(&transcript).filter(|found| found.progress.status == Status::Done)?;
        state.recordings.get(&found.recording).map(|recording| (recording.id, recording.content.clone()))
    }

    /// The answer to a good request for this file, whole or disturbed; `url` is what was asked for.
    fn send_file(&self, recording: Uuid, transcript: Uuid, content: Bytes, url: &str) -> Response {
        match self.faults.strike_download(recording, transcript) {
            None => body::whole(content),
            Some(fault) => body::disturbed(self, content, fault, || self.elsewhere(url)),
        }
    }

    fn folder(&self, recording: Uuid) -> String {
        format!("/_workspace-{}/recordings/{recording}", self.signer.workspace)
    }
}

pub(super) fn router(model: Arc<Model>) -> Router {
    Router::new().fallback(serve).with_state(model)
}

async fn serve(Shared(model): Shared<Arc<Model>>, request: Request) -> Response {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    if request.method() != Method::GET {
        // To HEAD there is no body, so no XML either.
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
    let Some((transcript, file)) = file_of(path) else { return no_key() };
    match (model.file(transcript), file) {
        (Some((recording, content)), "transcript.json") => {
            model.send_file(recording, transcript, content, &format!("{}{}", model.signer.base_url, request.uri()))
        }
        (Some(_), "provider_data.json") => body::whole(r#"{"parts":[]}"#.into()),
        _ => no_key(),
    }
}

/// A file of the API host, for a token. Whether Recall would take a key as well is not documented: it has no business
/// there, so here it is refused.
pub(super) async fn by_token(Shared(model): Shared<Arc<Model>>, request: Request) -> Response {
    if request.headers().contains_key(header::AUTHORIZATION) {
        model.keys_leaked.fetch_add(1, Ordering::SeqCst);
        return answers::coded(StatusCode::BAD_REQUEST, "bad_request", "A download takes no key.");
    }
    let query = request.uri().query().unwrap_or_default();
    let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token");
    let Some(transcript) = token.and_then(|(_, token)| model.signer.transcript_of(&token)) else {
        return answers::coded(StatusCode::FORBIDDEN, "permission_denied", "The token is wrong or over.");
    };
    match model.file(transcript) {
        Some((recording, content)) => {
            model.send_file(recording, transcript, content, &format!("{}{}", model.base_url, request.uri()))
        }
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
