//! The faults of Recall, which can be switched on while it runs.
//!
//! Statuses, dropped connections, and delays of single calls are injected at the wire ([`crate::wire`]). The faults
//! here need to know what a call is about.

mod meeting;
mod target;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use self::target::strike;
pub use self::{
    meeting::{Artifact, ArtifactFault, BotFault, FileFault},
    target::Target,
};
use super::outbox::Message;
use crate::wire::lock;

/// The depth of nested lists. JSON readers stop at about 128.
const DEPTH: usize = 300;

/// What happens to a download of a transcript's file.
#[derive(Clone, Copy, Debug)]
pub enum DownloadFault {
    /// Content-Length promises the whole file, but the connection closes after this many bytes.
    Truncated { after: usize },
    /// A chunked body ends without its last chunk after this many bytes.
    CutChunked { after: usize },
    /// Nothing more arrives after this many bytes, until [`Faults::release_downloads`].
    Stalled { after: usize },
    /// A 302 to the same path under another host name.
    Redirected,
    /// The file is compressed, with `Content-Encoding: gzip`. It may be any file: see [`super::Meeting::with_content`].
    Gzip,
    /// The file is compressed, but the compressed bytes end after this many. HTTP's framing is correct, so only gzip
    /// shows it.
    GzipCut { after: usize },
    /// The file is compressed, complete, and correctly framed, but gzip's checksum is wrong.
    GzipWrongChecksum,
    /// An HTTP/1.0 answer without a length: the body, compressed or not, ends with its connection after this many
    /// bytes.
    Unframed { gzip: bool, after: usize },
    /// A correctly framed 200 with a body of 0 bytes.
    Empty,
    /// This many MiB of spaces instead of the file, compressed to a thousandth.
    Bomb { mib: usize },
    /// A chunked body that never ends: after the file, one more space each time that this real time has passed.
    Trickle { every: Duration },
}

/// What a list shows in place of an entry.
#[derive(Clone, Copy, Debug)]
pub enum EntryFault {
    /// `null`.
    Null,
    /// The entry with an id that is not a UUID.
    NoId,
    /// The entry with one more member: nested lists, deeper than any JSON reader accepts.
    Deep,
}

/// What happens to an event.
#[derive(Clone, Copy, Debug)]
pub enum WebhookFault {
    /// The event is never sent.
    Dropped,
    /// The event is sent this many times at once, under one message id.
    Copies(usize),
    /// The event waits for [`super::Simulator::release_webhooks`].
    Held,
    /// The event is sent after this time on the simulator's clock.
    Delayed(Duration),
}

/// The active faults. Clones are cheap and share them.
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
    on_api_host: Vec<(Target, ())>,
    odd_recordings: Vec<(Target, Vec<(String, Value)>)>,
    odd_transcripts: Vec<(Target, Vec<(String, Value)>)>,
    downloads: Vec<(Target, DownloadFault)>,
    webhooks: Vec<(Target, String, WebhookFault)>,
    entries: Vec<(Target, EntryFault)>,
    links_elsewhere: Vec<(Target, ())>,
    meeting: meeting::Rules,
    list_lag: Duration,
    /// Faults that were switched off before they struck.
    unstruck: Vec<String>,
}

impl Rules {
    fn unstruck(&self) -> Vec<String> {
        use target::unstruck as of;

        let Self { failures, endless, done_before_answer, slow_creates, null_urls, elsewhere, downloads, .. } = self;
        let Self { on_api_host, odd_recordings, odd_transcripts, .. } = self;
        let Self { webhooks, entries, links_elsewhere, meeting, list_lag: _, unstruck, .. } = self;
        let webhooks = webhooks.iter().filter(|(target, ..)| target.is_unstruck());
        let webhooks = webhooks.map(|(target, event, fault)| format!("{fault:?} webhook `{event}`: {target}"));
        [
            unstruck.clone(),
            webhooks.collect(),
            of("fail_transcription", failures),
            of("never_transcribe", endless),
            of("done_before_answer", done_before_answer),
            of("slow_create", slow_creates),
            of("null_download_url", null_urls),
            of("download_url_elsewhere", elsewhere),
            of("download_on_api_host", on_api_host),
            of("odd_recording", odd_recordings),
            of("odd_transcript", odd_transcripts),
            of("download", downloads),
            of("list_entry", entries),
            of("next_links_elsewhere", links_elsewhere),
            meeting.unstruck(),
        ]
        .concat()
    }
}

impl Faults {
    /// The transcription fails with this sub_code, or without one.
    pub fn fail_transcription(&self, target: Target, sub_code: Option<&str>) {
        lock(&self.0.rules).failures.push((target, sub_code.map(str::to_owned)));
    }

    /// The transcript stays `processing`. [`super::Simulator::finish_transcription`] can still end it.
    pub fn never_transcribe(&self, target: Target) {
        lock(&self.0.rules).endless.push((target, ()));
    }

    /// The webhook that ends the transcription is delivered and answered before the create's own answer is sent.
    pub fn done_before_answer(&self, target: Target) {
        lock(&self.0.rules).done_before_answer.push((target, ()));
    }

    /// The transcript exists at once, but the create's answer takes this long on the simulator's clock.
    pub fn slow_create(&self, target: Target, time: Duration) {
        lock(&self.0.rules).slow_creates.push((target, time));
    }

    /// A retrieved `done` transcript has no download URL.
    pub fn null_download_url(&self, target: Target) {
        lock(&self.0.rules).null_urls.push((target, ()));
    }

    /// The download URL has another host name, where it would work.
    pub fn download_url_elsewhere(&self, target: Target) {
        lock(&self.0.rules).elsewhere.push((target, ()));
    }

    /// The download URL is on the API host, as Recall has them for meeting captions.
    pub fn download_url_on_api_host(&self, target: Target) {
        lock(&self.0.rules).on_api_host.push((target, ()));
    }

    /// The API shows the recording, alone or in a list, with these values at these JSON pointers.
    pub fn show_recording_with(&self, target: Target, values: &[(&str, Value)]) {
        lock(&self.0.rules).odd_recordings.push((target, owned(values)));
    }

    /// The API shows the transcript, alone or in a list, with these values at these JSON pointers.
    pub fn show_transcript_with(&self, target: Target, values: &[(&str, Value)]) {
        lock(&self.0.rules).odd_transcripts.push((target, owned(values)));
    }

    /// The download itself goes wrong.
    pub fn download(&self, target: Target, fault: DownloadFault) {
        lock(&self.0.rules).downloads.push((target, fault));
    }

    /// Lets stalled downloads continue.
    pub fn release_downloads(&self) {
        self.0.released.send_modify(|count| *count += 1);
    }

    /// The list of transcripts shows the state of this long ago, on the simulator's clock.
    pub fn list_lag(&self, lag: Duration) {
        lock(&self.0.rules).list_lag = lag;
    }

    /// The next `times` links to a next page have another host name, where they would work.
    pub fn next_links_elsewhere(&self, times: usize) {
        lock(&self.0.rules).links_elsewhere.push((Target::next(times), ()));
    }

    /// The entry of this recording or transcript in a list is unreadable.
    pub fn list_entry(&self, target: Target, fault: EntryFault) {
        lock(&self.0.rules).entries.push((target, fault));
    }

    /// Disturbs the next `times` events with `event` in their name. `""` is in every name.
    pub fn webhook(&self, event: &str, times: usize, fault: WebhookFault) {
        self.webhook_of(Target::next(times), event, fault);
    }

    /// Disturbs only events about one recording or transcript.
    pub fn webhook_of(&self, target: Target, event: &str, fault: WebhookFault) {
        lock(&self.0.rules).webhooks.push((target, event.to_owned(), fault));
    }

    /// Switches all faults off. Held events and stalled downloads still need to be released.
    pub fn calm(&self) {
        let mut rules = lock(&self.0.rules);
        *rules = Rules { unstruck: rules.unstruck(), ..Rules::default() };
    }

    /// Returns the faults that struck fewer times than requested, unless they are [`Target::optional`]. A test that
    /// requests faults must check that there are none at its end.
    pub fn unstruck(&self) -> Vec<String> {
        lock(&self.0.rules).unstruck()
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
        } else if strike(&mut rules.on_api_host, recording, transcript).is_some() {
            Url::OnApiHost
        } else {
            Url::Right
        }
    }

    /// Returns what the API shows of a recording.
    pub(super) fn recording_shown(&self, recording: Uuid, artifact: Value) -> Value {
        let values = strike(&mut lock(&self.0.rules).odd_recordings, recording, Uuid::nil());
        with_values(artifact, values.unwrap_or_default())
    }

    /// Returns what the API shows of a transcript.
    pub(super) fn transcript_shown(&self, recording: Uuid, transcript: Uuid, artifact: Value) -> Value {
        let values = strike(&mut lock(&self.0.rules).odd_transcripts, recording, transcript);
        with_values(artifact, values.unwrap_or_default())
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
        strike(&mut lock(&self.0.rules).links_elsewhere, Uuid::nil(), Uuid::nil()).is_some()
    }

    /// Returns what a list shows of this recording, or of this transcript of it.
    pub(super) fn in_list(&self, recording: Uuid, transcript: Option<Uuid>, mut entry: Value) -> Value {
        let mut rules = lock(&self.0.rules);
        match strike(&mut rules.entries, recording, transcript.unwrap_or_default()) {
            None => {}
            Some(EntryFault::Null) => entry = Value::Null,
            Some(EntryFault::NoId) => entry["id"] = "none".into(),
            Some(EntryFault::Deep) => entry["provider"] = (0..DEPTH).fold(Value::Null, |inner, _| json!([inner])),
        }
        entry
    }

    pub(super) fn lag(&self) -> Duration {
        lock(&self.0.rules).list_lag
    }

    pub(super) fn release(&self) -> watch::Receiver<u64> {
        self.0.released.subscribe()
    }
}

/// The faults of a transcript that is being created.
pub(super) struct Plan {
    /// With `Some`, the transcription fails with this sub_code.
    pub(super) sub_code: Option<Option<String>>,
    pub(super) endless: bool,
    pub(super) done_before_answer: bool,
    pub(super) answer_takes: Duration,
}

/// What a retrieved transcript has as its download URL.
pub(super) enum Url {
    Right,
    Null,
    Elsewhere,
    OnApiHost,
}

fn owned(values: &[(&str, Value)]) -> Vec<(String, Value)> {
    values.iter().map(|(pointer, value)| ((*pointer).to_owned(), value.clone())).collect()
}

fn with_values(mut artifact: Value, values: Vec<(String, Value)>) -> Value {
    for (pointer, value) in values {
        if let Some(place) = artifact.pointer_mut(&pointer) {
            *place = value;
        }
    }
    artifact
}
