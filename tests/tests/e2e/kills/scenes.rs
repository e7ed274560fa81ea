//! The scenes that are played, and how each of them must end.

use std::{
    collections::{BTreeSet, HashMap},
    sync::LazyLock,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use local::{
    queue::Attribute,
    recall::{Artifact, ArtifactFault, DownloadFault, Meeting, Metadata, Status, Target, WebhookFault},
    stack::{JOBS_TABLE, WORK_QUEUE},
    wire::{Fault, Service, When},
};
use serde_json::json;
use tests::{Pipeline, PipelineTest, in_hours, past, sha256};
use uuid::Uuid;

use super::play::Play;

/// A file of two parts.
const LARGE_BYTES: usize = 5_500_000;
/// A body that takes two messages of the dead-letter queue.
const LONG_BODY_CHARS: usize = 300_000;
/// The files of a set: the verbatim files, the line of the meeting, and every rendition.
const FILES: usize = 9;
/// The start of every file of an older version.
const OLDER: &str = "an older ";

/// One way through the pipeline. Each scene has effects that no other has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scene {
    /// A short meeting.
    Small,
    /// A file that is uploaded in parts.
    Large,
    /// The same file, but the download ends early.
    CutOff,
    /// Recall throttles the first create.
    Throttled,
    /// Recall refuses every create.
    Refused,
    /// The create takes effect, but its answers and its webhooks are lost, so only a look-up finds it.
    LookedUp,
    /// The transcription fails, and the next one needs its slot.
    Failed,
    /// The transcript is deleted at Recall once it is stored.
    DeleteTranscript,
    /// The whole recording is deleted at Recall once its transcript is stored.
    DeleteRecording,
    /// Every webhook is lost: the sweep finds the recording, and later its transcript.
    Swept,
    /// The set of an older version is rendered again.
    RenderedAgain,
    /// The transcript is copied again: the row is lost, and the bucket has a set with other bytes and other keys.
    CopiedAgain,
    /// The first copy does not know when the recording began, and fails at its manifest. The next copy knows it.
    Moved,
    /// Recall has the people of the meeting ready only after the transcript is stored.
    Late,
    /// All of Recall's files are kept, and there is a knowledge document.
    Everything,
    /// A newer transcript is stored, so the knowledge document of the older one is removed.
    Newer,
    /// A signed body that is unreadable.
    UnreadableBody,
    /// A message on the queue that is unreadable.
    UnreadableMessage,
}

/// What a scene has begun.
pub(super) enum Begun {
    Recording(Uuid),
    /// A body or message with this text, which goes to the dead-letter queue.
    Unreadable(String),
}

impl Begun {
    pub(super) fn recording(&self) -> Option<Uuid> {
        match self {
            Self::Recording(recording) => Some(*recording),
            Self::Unreadable(_) => None,
        }
    }
}

impl Scene {
    pub(super) const ALL: [Self; 18] = [
        Self::Small,
        Self::Large,
        Self::CutOff,
        Self::Throttled,
        Self::Refused,
        Self::LookedUp,
        Self::Failed,
        Self::DeleteTranscript,
        Self::DeleteRecording,
        Self::Swept,
        Self::RenderedAgain,
        Self::CopiedAgain,
        Self::Moved,
        Self::Late,
        Self::Everything,
        Self::Newer,
        Self::UnreadableBody,
        Self::UnreadableMessage,
    ];

    /// Returns a test for the scene. Its pipeline has no waits and does nothing by itself.
    pub(super) fn test(self) -> PipelineTest {
        let test = PipelineTest::with(|config, simulator| {
            config.env = self.env().iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            // No transcription takes long, and nothing is sent again by itself during a scene.
            simulator.speed = 0.05;
            simulator.limits.transcription = Duration::ZERO;
            simulator.limits.calls_per_minute = usize::MAX;
            simulator.limits.lists_per_minute = usize::MAX;
        });
        test.paused()
    }

    fn env(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Failed => &[
                ("TRANSCRIPT_PROVIDERS", r#"[{"recallai_async": {}}, {"rev_async": {}}]"#),
                ("TRIES_PER_PROVIDER", "1"),
                ("MAX_TRANSCRIPTS_PER_RECORDING", "1"),
                ("ON_LIMIT", "delete_failed"),
            ],
            Self::DeleteTranscript => &[("DELETE_AFTER_STORE", "transcript")],
            Self::DeleteRecording => &[("DELETE_AFTER_STORE", "recording")],
            Self::Late => &[("RENDITIONS", "jsonl,meetings,html")],
            Self::Everything => &[
                ("MEETING_FILES", "participants,events,timeline"),
                ("PROVIDER_DATA", "true"),
                ("TRANSCRIPT_PROVIDERS", r#"[{"rev_async": {}}]"#),
                ("RENDITIONS", "jsonl,meetings,knowledge"),
            ],
            Self::Newer => &[("RENDITIONS", "knowledge")],
            Self::Small
            | Self::Large
            | Self::CutOff
            | Self::Throttled
            | Self::Refused
            | Self::LookedUp
            | Self::Swept
            | Self::RenderedAgain
            | Self::CopiedAgain
            | Self::Moved
            | Self::UnreadableBody
            | Self::UnreadableMessage => &[],
        }
    }

    /// Begins the scene: every webhook is held, and nothing happens before the play releases it.
    pub(super) async fn begin(self, pipeline: &Pipeline) -> Result<Begun> {
        let (simulator, wire) = (pipeline.simulator(), &pipeline.stack.wire);
        let (create, answer) = ("/create_transcript/", |status| Fault::Answer { status, retry_after: None });
        simulator.faults().calm();
        wire.calm();
        match self {
            Self::CutOff => {
                simulator.faults().download(Target::next(1), DownloadFault::Truncated { after: LARGE_BYTES - 100_000 });
            }
            Self::Throttled => drop(wire.inject(Service::Recall, create, When::Before, answer(429), 1)),
            Self::Refused => drop(wire.inject(Service::Recall, create, When::Before, answer(400), 1)),
            Self::LookedUp => {
                drop(wire.inject(Service::Recall, create, When::After, answer(500), 3));
                simulator.faults().webhook("transcript.", usize::MAX, WebhookFault::Dropped);
            }
            Self::Failed => {
                simulator.faults().fail_transcription(Target::next(1), Some("provider_connection_failed"));
            }
            Self::Swept => simulator.faults().webhook("", usize::MAX, WebhookFault::Dropped),
            Self::Late => {
                // For the copy and for the first follow-up, or for two copies.
                simulator.faults().artifact(Target::next(2), Artifact::ParticipantEvents, ArtifactFault::Processing);
            }
            Self::Small
            | Self::Large
            | Self::DeleteTranscript
            | Self::DeleteRecording
            | Self::RenderedAgain
            | Self::CopiedAgain
            | Self::Moved
            | Self::Everything
            | Self::Newer
            | Self::UnreadableBody
            | Self::UnreadableMessage => {}
        }
        // No webhook announces the other scenes.
        if !matches!(self, Self::Swept | Self::UnreadableMessage) {
            simulator.faults().webhook("", usize::MAX, WebhookFault::Held);
        }
        let text = Uuid::new_v4().to_string();
        Ok(match self {
            Self::UnreadableBody => {
                let more = "x".repeat(LONG_BODY_CHARS);
                simulator.send_event(json!({"event": "recording.done", "data": text, "more": more}));
                Begun::Unreadable(text)
            }
            Self::UnreadableMessage => {
                pipeline.stack.queues.send(WORK_QUEUE, &text, &[]).await?;
                Begun::Unreadable(text)
            }
            Self::RenderedAgain => {
                let (recording, _) = stored_by_an_older_version(pipeline, Older::Renditions).await?;
                let message = json!({"event": "render", "recording_id": recording});
                pipeline.stack.queues.send(WORK_QUEUE, &message.to_string(), &[]).await?;
                Begun::Recording(recording)
            }
            Self::CopiedAgain => {
                let (recording, transcript) = stored_by_an_older_version(pipeline, Older::All).await?;
                pipeline.stack.dynamodb.remove(JOBS_TABLE, &recording.to_string())?;
                let message = json!({
                    "event": "transcript.done", "recording_id": recording, "transcript_id": transcript, "attempt": 1,
                });
                pipeline.stack.queues.send(WORK_QUEUE, &message.to_string(), &[]).await?;
                Begun::Recording(recording)
            }
            Self::Moved => {
                let recording = simulator.play(Meeting::short(1).started_at(in_hours(-50)));
                let retrieved = format!("GET /api/v1/recording/{recording}");
                drop(wire.inject(Service::Recall, &retrieved, When::Before, answer(404), 1));
                drop(wire.inject(Service::S3, "/manifest.json?x-id=PutObject", When::Before, answer(403), 1));
                Begun::Recording(recording)
            }
            Self::Newer => {
                let recording = simulator.play(Meeting::short(1));
                Play::new(pipeline, Some(recording)).finish().await.context("the older transcript's play")?;
                simulator.add_transcript(recording, "rev_async", Metadata::new()).context("no other transcript")?;
                Begun::Recording(recording)
            }
            Self::Swept => Begun::Recording(simulator.play(past(Meeting::short(1)))),
            Self::Large | Self::CutOff => Begun::Recording(simulator.play(large())),
            Self::Small
            | Self::Throttled
            | Self::Refused
            | Self::LookedUp
            | Self::Failed
            | Self::Late
            | Self::Everything
            | Self::DeleteTranscript
            | Self::DeleteRecording => Begun::Recording(simulator.play(Meeting::short(1))),
        })
    }

    /// Checks what must hold at the end, whatever was killed on the way.
    pub(super) async fn check(self, pipeline: &Pipeline, begun: &Begun) -> Result<()> {
        let open = pipeline.stack.s3.open_uploads()?;
        ensure!(open.is_empty(), "open uploads: {open:?}");
        let parked = pipeline.dead_letters().await?;
        let recording = match begun {
            Begun::Recording(recording) => *recording,
            Begun::Unreadable(text) => {
                let first = parked.iter().find(|message| message.body.contains(text)).context("it is not parked")?;
                let (of, position) = (&first.attributes["delivery_id"].value, &first.attributes["part"].value);
                let (_, count) = position.split_once('/').context("no part")?;
                let is_ours = |attributes: &HashMap<String, Attribute>| attributes["delivery_id"].value == *of;
                let ours = parked.iter().filter(|message| is_ours(&message.attributes));
                let parts: BTreeSet<_> = ours.map(|message| &message.attributes["part"].value).collect();
                ensure!(parts.len() == count.parse::<usize>()?, "only the parts {parts:?} are parked");
                return Ok(());
            }
        };
        ensure!(parked.is_empty(), "dead letters: {parked:?}");
        let (status, creates, count) = match self {
            Self::Failed => ("stored", 2, 1),
            Self::Newer => ("stored", 1, 2),
            Self::DeleteTranscript | Self::DeleteRecording => ("stored", 1, 0),
            Self::Small
            | Self::Large
            | Self::CutOff
            | Self::Throttled
            | Self::Refused
            | Self::LookedUp
            | Self::Swept
            | Self::RenderedAgain
            | Self::CopiedAgain
            | Self::Moved
            | Self::Late
            | Self::Everything
            | Self::UnreadableBody
            | Self::UnreadableMessage => ("stored", 1, 1),
        };
        let row = pipeline.job(recording)?.context("there is no row")?;
        ensure!(row["status"] == status && row["transcript_count"] == count, "it is not {status}");
        let made = pipeline.simulator().creates(recording);
        ensure!(made == creates, "{made} creates instead of {creates}");
        check_knowledge(self, pipeline, recording)?;
        let detail_type = if status == "stored" { "Transcript Stored" } else { "Transcript Failed" };
        check_announced(pipeline, recording, detail_type, if self == Self::Newer { 2 } else { 1 })?;
        if self == Self::Newer {
            return Ok(());
        }
        let manifests = pipeline.manifests(recording)?;
        ensure!(manifests.len() == usize::from(status == "stored"), "{} manifests", manifests.len());
        let Some(manifest) = manifests.first() else { return Ok(()) };
        let id: Uuid = manifest["transcript_id"].as_str().context("no transcript")?.parse()?;
        let stored = pipeline.stack.s3.object(&format!("recordings/{recording}/{id}/transcript.json"))?;
        ensure!(stored == pipeline.simulator().transcript_bytes(id), "the stored file differs from Recall's");
        let at_recall = pipeline.simulator().transcript(id).map(|transcript| transcript.status);
        let files = manifest["files"].as_array().map_or(0, Vec::len);
        ensure!(files == self.files() && manifest["rendering_error"].is_null(), "it has {files} files: {manifest}");
        for file in manifest["files"].as_array().into_iter().flatten() {
            let object = pipeline.stack.s3.object(file["key"].as_str().context("no key")?)?.context("no object")?;
            ensure!(!object.starts_with(OLDER.as_bytes()), "{} is of the older version", file["name"]);
        }
        let kept = if count == 1 { Status::Done } else { Status::Deleted };
        ensure!(at_recall == Some(kept), "it is {at_recall:?} at Recall");
        let sources = &manifest["meeting"]["sources"];
        ensure!(sources["participants"] == "stored" && sources["bot"] == "read", "the sources are {sources}");
        Ok(())
    }

    /// Returns the number of files in the manifest.
    fn files(self) -> usize {
        let fewer_renditions = [(Self::Late, 5), (Self::Everything, 7)];
        fewer_renditions.into_iter().find(|(scene, _)| *scene == self).map_or(FILES, |(_, files)| files)
    }
}

/// Checks that only the newest transcript has a knowledge document, if the scene has documents.
fn check_knowledge(scene: Scene, pipeline: &Pipeline, recording: Uuid) -> Result<()> {
    let transcripts = pipeline.simulator().transcripts(recording);
    let has = |id: Uuid, end: &str| {
        Ok::<_, anyhow::Error>(pipeline.stack.s3.object(&format!("knowledge/{id}{end}"))?.is_some())
    };
    for (index, transcript) in transcripts.iter().enumerate() {
        let is_expected = matches!(scene, Scene::Everything | Scene::Newer) && index + 1 == transcripts.len();
        for end in [".md", ".md.metadata.json"] {
            ensure!(has(transcript.id, end)? == is_expected, "transcript {index}: knowledge document {end}");
        }
    }
    let manifests = pipeline.manifests(recording)?.len();
    ensure!(manifests == transcripts.len() || scene != Scene::Newer, "{manifests} manifests");
    Ok(())
}

/// The difference that an older version made.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Older {
    /// The bytes of the renditions differ.
    Renditions,
    /// The bytes of the verbatim file differ as well, and the turns have another date.
    All,
}

/// Plays a meeting to its end, and then changes the set in the bucket to one that an older version could have made. Its
/// manifest has none of the newer fields.
async fn stored_by_an_older_version(pipeline: &Pipeline, older: Older) -> Result<(Uuid, Uuid)> {
    let recording = pipeline.simulator().play(Meeting::short(1));
    Play::new(pipeline, Some(recording)).finish().await.context("the older version's play")?;
    let s3 = &pipeline.stack.s3;
    let mut manifest = pipeline.manifests(recording)?.pop().context("no manifest")?;
    let id: Uuid = manifest["transcript_id"].as_str().context("no transcript")?.parse()?;
    for file in manifest["files"].as_array_mut().context("no files")? {
        file.as_object_mut().context("no object")?.remove("crc64nvme");
        let (name, key) = (file["name"].as_str().context("no name")?, file["key"].as_str().context("no key")?);
        if ["transcript.json", "participants.json"].contains(&name) && older == Older::Renditions {
            continue;
        }
        let (name, mut new_key, bytes) = (name.to_owned(), key.to_owned(), format!("{OLDER}{name}"));
        for (table, file) in [("turns", "turns.jsonl"), ("meetings", "meetings.jsonl")] {
            if name == file && older == Older::All {
                new_key = format!("{table}/date=2024-02-29/{id}.jsonl");
            }
        }
        s3.remove(key)?;
        s3.put(&new_key, "text/plain", bytes.as_bytes())?;
        file["key"] = json!(new_key);
        file["bytes"] = json!(bytes.len());
        file["sha256"] = json!(sha256(bytes.as_bytes()));
    }
    manifest.as_object_mut().context("no object")?.retain(|name, _| !name.starts_with("rendered_"));
    let of_recording = manifest["recording"].as_object_mut().context("no recording")?;
    of_recording.retain(|name, _| name != "completed_at" && name != "bot_metadata");
    let key = format!("recordings/{recording}/{id}/manifest.json");
    s3.put(&key, "application/json", manifest.to_string().as_bytes())?;
    pipeline.check_bucket()?;
    Ok((recording, id))
}

fn large() -> Meeting {
    static LARGE: LazyLock<Meeting> = LazyLock::new(|| Meeting::large(LARGE_BYTES));
    LARGE.clone()
}

/// Checks that the end was announced, at least once, and always as the same event, or as so many events.
fn check_announced(pipeline: &Pipeline, recording: Uuid, detail_type: &str, events: usize) -> Result<()> {
    let sent = pipeline.stack.bus.events();
    let ours = sent.iter().filter(|event| event.detail["recording_id"] == recording.to_string());
    let told: BTreeSet<_> = ours.map(|event| (event.detail_type.as_str(), event.detail["id"].to_string())).collect();
    ensure!(told.len() == events && told.iter().all(|(of, _)| *of == detail_type), "announced: {told:?}");
    Ok(())
}
