//! What can go wrong at Recall, to be switched on while it runs.
//!
//! Statuses, dropped connections and delays of single calls are injected at the wire ([`crate::wire`]); here are
//! the faults that need to know what the call is about.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::watch;
use uuid::Uuid;

use super::Message;
use crate::wire::lock;

/// What a fault strikes, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    recording: Option<Uuid>,
    transcript: Option<Uuid>,
    left: usize,
}

impl Target {
    /// The next `times` of anything.
    pub fn next(times: usize) -> Self {
        Self { recording: None, transcript: None, left: times }
    }

    /// Whatever belongs to this recording, until [`Faults::calm`] or as often as [`Target::times`] says.
    pub fn recording(id: Uuid) -> Self {
        Self { recording: Some(id), ..Self::next(usize::MAX) }
    }

    /// This transcript, until [`Faults::calm`] or as often as [`Target::times`] says.
    pub fn transcript(id: Uuid) -> Self {
        Self { transcript: Some(id), ..Self::next(usize::MAX) }
    }

    /// Limits how often it strikes.
    pub fn times(self, times: usize) -> Self {
        Self { left: times, ..self }
    }

    fn hits(&self, recording: Uuid, transcript: Uuid) -> bool {
        self.left > 0
            && self.recording.is_none_or(|id| id == recording)
            && self.transcript.is_none_or(|id| id == transcript)
    }
}

/// What happens to a download of a transcript's file.
#[derive(Clone, Copy, Debug)]
pub enum DownloadFault {
    /// Content-Length promises everything; the connection closes after this many bytes.
    Truncated { after: usize },
    /// A chunked body that ends without its last chunk after this many bytes.
    CutChunked { after: usize },
    /// Nothing more comes after this many bytes, until [`Faults::release_downloads`].
    Stalled { after: usize },
    /// 302 to the same path under another host name.
    Redirected,
    /// The file compressed, with `Content-Encoding: gzip`.
    Gzip,
    /// An answer of HTTP/1.0 without a length: the body, compressed or not, ends with its connection, after this many
    /// bytes of it.
    Unframed { gzip: bool, after: usize },
    /// 200, and a body of no bytes.
    Empty,
    /// So many MiB of nothing instead of the file, compressed to a thousandth.
    Bomb { mib: usize },
}

/// What happens to an event.
#[derive(Clone, Copy, Debug)]
pub enum WebhookFault {
    /// It is never sent.
    Dropped,
    /// It is sent this many times at once, under one message id.
    Copies(usize),
    /// It waits for [`super::Simulator::release_webhooks`].
    Held,
    /// It is sent after this time on the simulator's clock.
    Delayed(Duration),
}

/// The faults that are switched on. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rules: Mutex<Rules>,
    released: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Rules {
    failures: Vec<(Target, Option<String>)>,
    endless: Vec<(Target, ())>,
    done_before_answer: Vec<(Target, ())>,
    slow_creates: Vec<(Target, Duration)>,
    null_urls: Vec<(Target, ())>,
    elsewhere: Vec<(Target, ())>,
    downloads: Vec<(Target, DownloadFault)>,
    webhooks: Vec<(Target, String, WebhookFault)>,
    list_lag: Duration,
    links_elsewhere: usize,
}

impl Faults {
    /// The transcription fails with this sub_code, or with none.
    pub fn fail_transcription(&self, target: Target, sub_code: Option<&str>) {
        lock(&self.0.rules).failures.push((target, sub_code.map(str::to_owned)));
    }

    /// The transcript stays `processing`; [`super::Simulator::finish_transcription`] can still end it.
    pub fn never_transcribe(&self, target: Target) {
        lock(&self.0.rules).endless.push((target, ()));
    }

    /// The webhook that ends the transcription is delivered, and answered, before create's own answer is sent.
    pub fn done_before_answer(&self, target: Target) {
        lock(&self.0.rules).done_before_answer.push((target, ()));
    }

    /// The transcript exists at once, but create's answer takes this long on the simulator's clock.
    pub fn slow_create(&self, target: Target, time: Duration) {
        lock(&self.0.rules).slow_creates.push((target, time));
    }

    /// Retrieving a `done` transcript shows no download URL.
    pub fn null_download_url(&self, target: Target) {
        lock(&self.0.rules).null_urls.push((target, ()));
    }

    /// The download URL points to another host name (where it would work).
    pub fn download_url_elsewhere(&self, target: Target) {
        lock(&self.0.rules).elsewhere.push((target, ()));
    }

    /// The download itself goes wrong.
    pub fn download(&self, target: Target, fault: DownloadFault) {
        lock(&self.0.rules).downloads.push((target, fault));
    }

    /// Stalled downloads go on.
    pub fn release_downloads(&self) {
        self.0.released.send_modify(|count| *count += 1);
    }

    /// The list of transcripts shows how things were this long ago on the simulator's clock.
    pub fn list_lag(&self, lag: Duration) {
        lock(&self.0.rules).list_lag = lag;
    }

    /// The next `times` links to a next page point to another host name (where they would work).
    pub fn next_links_elsewhere(&self, times: usize) {
        lock(&self.0.rules).links_elsewhere = times;
    }

    /// Disturbs the next `times` events with `event` in their name; `""` is in every name.
    pub fn webhook(&self, event: &str, times: usize, fault: WebhookFault) {
        self.webhook_of(Target::next(times), event, fault);
    }

    /// The same for events about one recording or transcript only.
    pub fn webhook_of(&self, target: Target, event: &str, fault: WebhookFault) {
        lock(&self.0.rules).webhooks.push((target, event.to_owned(), fault));
    }

    /// Switches everything off. What is held or stalled stays so until it is released.
    pub fn calm(&self) {
        *lock(&self.0.rules) = Rules::default();
    }

    pub(super) fn plan(&self, recording: Uuid, transcript: Uuid) -> Plan {
        let mut rules = lock(&self.0.rules);
        Plan {
            sub_code: strike(&mut rules.failures, recording, transcript),
            endless: strike(&mut rules.endless, recording, transcript).is_some(),
            done_before_answer: strike(&mut rules.done_before_answer, recording, transcript).is_some(),
            answer_takes: strike(&mut rules.slow_creates, recording, transcript).unwrap_or_default(),
        }
    }

    pub(super) fn url(&self, recording: Uuid, transcript: Uuid) -> Url {
        let mut rules = lock(&self.0.rules);
        if strike(&mut rules.null_urls, recording, transcript).is_some() {
            Url::Null
        } else if strike(&mut rules.elsewhere, recording, transcript).is_some() {
            Url::Elsewhere
        } else {
            Url::Right
        }
    }

    pub(super) fn strike_download(&self, recording: Uuid, transcript: Uuid) -> Option<DownloadFault> {
        strike(&mut lock(&self.0.rules).downloads, recording, transcript)
    }

    pub(super) fn strike_webhook(&self, message: &Message) -> Option<WebhookFault> {
        let (recording, transcript) = (message.recording_id, message.transcript_id);
        let mut rules = lock(&self.0.rules);
        let (target, _, fault) = rules.webhooks.iter_mut().find(|(target, part, _)| {
            target.hits(recording.unwrap_or_default(), transcript.unwrap_or_default())
                && message.event.contains(part.as_str())
        })?;
        target.left -= 1;
        Some(*fault)
    }

    pub(super) fn strike_link(&self) -> bool {
        let left = &mut lock(&self.0.rules).links_elsewhere;
        let strikes = *left > 0;
        *left -= usize::from(strikes);
        strikes
    }

    pub(super) fn lag(&self) -> Duration {
        lock(&self.0.rules).list_lag
    }

    pub(super) fn release(&self) -> watch::Receiver<u64> {
        self.0.released.subscribe()
    }
}

/// What awaits a transcript that is being created.
pub(super) struct Plan {
    /// `Some`: it fails, with this sub_code.
    pub(super) sub_code: Option<Option<String>>,
    pub(super) endless: bool,
    pub(super) done_before_answer: bool,
    pub(super) answer_takes: Duration,
}

/// What a retrieve shows as the download URL.
pub(super) enum Url {
    Right,
    Null,
    Elsewhere,
}

fn strike<T: Clone>(rules: &mut [(Target, T)], recording: Uuid, transcript: Uuid) -> Option<T> {
    let (target, fault) = rules.iter_mut().find(|(target, _)| target.hits(recording, transcript))?;
    target.left -= 1;
    Some(fault.clone())
}
