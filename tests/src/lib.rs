//! A running pipeline for one test, and the promises that must hold when the test ends.
//!
//! The functions are the real binaries and run as processes. Every service that they call runs in this process.
#![allow(clippy::disallowed_methods, reason = "tests wait on the real clock")]

pub mod chaos;
mod harness;
mod http_client;
pub mod large_transcripts;
pub mod measure;
mod time_travel;

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use local::{
    build::Binaries,
    recall::{Meeting, Simulator, SimulatorConfig, random_webhook_secret},
    s3::Algorithm,
    stack::{BUCKET, DEAD_LETTER_QUEUE, JOBS_TABLE, Stack, WORK_QUEUE},
};
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::{sync::OnceCell, time::Instant};
use uuid::Uuid;

pub use self::{
    harness::{Exception, PipelineTest, pipeline_test},
    http_client::{Reply, post, request},
};

/// The limit for every wait in a test. A wait that takes longer never ends.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The speed of the simulator's clock: the five minutes between two deliveries are 7.5 s, and six hours are 9 minutes.
pub const SPEED: f64 = 40.0;

/// The folders in which readers find files without a manifest, with the names of these files in manifests.
const FILED: [(&str, &str); 2] = [("turns/", "turns.jsonl"), ("meetings/", "meetings.jsonl")];

/// The key of the sweep's progress, which is stored in the table of jobs but is not a job.
pub const SWEEP: &str = "sweep";

/// Returns the functions' binaries, which are built once for all tests.
pub async fn binaries() -> Result<&'static Binaries> {
    static BINARIES: OnceCell<Binaries> = OnceCell::const_new();
    BINARIES.get_or_try_init(Binaries::build).await
}

/// Returns the settings of a simulator that is fast, and strict in everything that a test does not change.
pub fn simulator_config() -> SimulatorConfig {
    let mut config =
        SimulatorConfig { speed: SPEED, webhook_secrets: vec![random_webhook_secret()], ..SimulatorConfig::default() };
    config.limits.transcription_per_hour = Duration::ZERO;
    config
}

/// The pipeline under test.
#[derive(Debug)]
pub struct Pipeline {
    pub stack: Arc<Stack>,
    api_key: String,
    webhook_secrets: Vec<String>,
    data: TempDir,
}

impl Pipeline {
    pub fn simulator(&self) -> &Simulator {
        self.stack.simulator.as_ref().unwrap_or_else(|| unreachable!("every test has a simulator"))
    }

    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Returns the job's row.
    pub fn job(&self, recording: Uuid) -> Result<Option<Value>> {
        self.stack.dynamodb.item(JOBS_TABLE, &recording.to_string())
    }

    pub fn status(&self, recording: Uuid) -> Result<Option<String>> {
        Ok(self.job(recording)?.and_then(|job| job["status"].as_str().map(str::to_owned)))
    }

    /// Sends a body to the webhook URL, with a signature of this moment.
    pub async fn deliver(&self, body: &[u8]) -> Result<Reply> {
        let headers = self.simulator().sign(body, now());
        post(self.stack.function_url.url(), &headers, body).await
    }

    /// Returns the sweep's progress in Recall's lists, which is stored in the table of jobs.
    pub fn place(&self) -> Result<Value> {
        self.stack.dynamodb.item(JOBS_TABLE, SWEEP)?.context("no sweep has read a list yet")
    }

    /// Runs the sweep once and returns its report.
    pub async fn sweep(&self) -> Result<Value> {
        serde_json::from_slice(&self.stack.schedule.fire().await?).context("the sweep's answer is not JSON")
    }

    /// Waits until the job has this status.
    pub async fn reaches(&self, recording: Uuid, status: &str) -> Result<()> {
        let what = format!("recording {recording} to be {status}");
        let result = self.wait_until(&what, || Ok(self.status(recording)?.as_deref() == Some(status))).await;
        result.with_context(|| format!("its row is {:?}\n{}", self.job(recording), self.stack.logs().join("\n")))
    }

    /// Waits until the recording is stored and all work has ended, checks the recording, and returns its manifest.
    pub async fn ends_stored(&self, recording: Uuid) -> Result<Value> {
        self.reaches(recording, "stored").await?;
        self.settles().await?;
        self.check_stored(recording)
    }

    /// Waits until no delivery and no message is in progress.
    pub async fn settles(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let quiet = self.simulator().under_way() == 0 && self.stack.queues.depth(WORK_QUEUE).await? == 0;
            if quiet {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "deliveries or messages are still in progress");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn wait_until(&self, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        while !holds()? {
            if begun.elapsed() > PATIENCE {
                bail!("waited {} s for {what}", PATIENCE.as_secs());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Returns the parked bodies and failed messages.
    pub async fn dead_letters(&self) -> Result<Vec<local::queue::Message>> {
        self.stack.queues.messages(DEAD_LETTER_QUEUE).await
    }

    /// Returns the manifests of a recording's transcripts.
    pub fn manifests(&self, recording: Uuid) -> Result<Vec<Value>> {
        let prefix = format!("recordings/{recording}/");
        let keys = self.stack.s3.keys()?;
        let manifests = keys.iter().filter(|key| key.starts_with(&prefix) && key.ends_with("/manifest.json"));
        manifests
            .map(|key| {
                let text = self.stack.s3.object(key)?.context("the object has disappeared")?;
                serde_json::from_slice(&text).context("a manifest is not JSON")
            })
            .collect()
    }

    /// Checks that the recording is stored: paid once, complete, byte for byte, and with a row that says so. Returns
    /// its manifest.
    pub fn check_stored(&self, recording: Uuid) -> Result<Value> {
        ensure!(self.simulator().creates(recording) == 1, "{} creates", self.simulator().creates(recording));
        let job = self.job(recording)?.context("there is no job")?;
        ensure!(job["status"] == "stored", "its row is {job}");
        ensure!(job["transcript_count"] == 1, "its row is {job}");
        ensure!(job.get("due_at").is_none(), "a stored job is not due: {job}");
        let transcripts = self.simulator().transcripts(recording);
        let transcript = transcripts.first().context("Recall has no transcript")?;
        let manifests = self.manifests(recording)?;
        let [manifest] = manifests.as_slice() else { bail!("{} manifests", manifests.len()) };
        ensure!(
            manifest["transcript_id"] == transcript.id.to_string(),
            "the manifest is of another transcript: {manifest}"
        );
        let key = format!("recordings/{recording}/{}/transcript.json", transcript.id);
        let stored = self.stack.s3.object(&key)?.context("there is no object")?;
        let original = self.simulator().transcript_bytes(transcript.id).context("Recall has no file")?;
        ensure!(stored == original, "{} bytes instead of {}", stored.len(), original.len());
        ensure!(manifest["files"][0]["sha256"] == sha256(&original), "the manifest has a wrong checksum: {manifest}");
        Ok(manifest.clone())
    }

    /// Checks what must hold at any moment, even during a copy: every file is as its manifest states, SQL finds no
    /// turns and no meeting twice and none without their verbatim file, and a knowledge base finds no document without
    /// its sidecar.
    pub fn check_bucket(&self) -> Result<()> {
        let keys = self.stack.s3.keys()?;
        let mut named = HashMap::new();
        for key in keys.iter().filter(|key| key.ends_with("/manifest.json")) {
            let manifest: Value = serde_json::from_slice(&self.stack.s3.object(key)?.context("gone")?)?;
            let id = manifest["transcript_id"].as_str().context("no id")?;
            for file in manifest["files"].as_array().context("no files")? {
                let key = file["key"].as_str().context("a file without a key")?;
                self.check_file(key, file)?;
                if let Some((folder, _)) = FILED.into_iter().find(|(_, name)| file["name"] == *name) {
                    named.insert((folder, id.to_owned()), key.to_owned());
                }
            }
        }
        let has_verbatim = |id: &str| keys.iter().any(|key| key.ends_with(&format!("/{id}/transcript.json")));
        for (folder, _) in FILED {
            let mut filed = BTreeSet::new();
            for key in keys.iter().filter(|key| key.starts_with(folder)) {
                let name = key.rsplit('/').next().and_then(|name| name.strip_suffix(".jsonl"));
                let id = name.with_context(|| format!("{key} is not a file of lines"))?;
                ensure!(filed.insert(id), "{key} is stored twice, for two days");
                let in_manifest = named.get(&(folder, id.to_owned()));
                ensure!(in_manifest.is_none_or(|named| named == key), "{key} is not the file in the manifest");
                ensure!(has_verbatim(id), "{key} is stored without its verbatim file");
            }
        }
        for document in keys.iter().filter(|key| key.starts_with("knowledge/") && key.ends_with(".md")) {
            let id = &document["knowledge/".len()..document.len() - ".md".len()];
            ensure!(keys.contains(&format!("{document}.metadata.json")), "{document} is stored without its sidecar");
            ensure!(has_verbatim(id), "{document} is stored without its verbatim file");
        }
        Ok(())
    }

    /// Checks that an object is as its manifest states.
    fn check_file(&self, key: &str, stated: &Value) -> Result<()> {
        let object =
            self.stack.s3.object(key)?.with_context(|| format!("{key} is in a manifest but does not exist"))?;
        ensure!(
            stated["sha256"] == sha256(&object) && stated["bytes"] == object.len(),
            "{key} is not as its manifest states"
        );
        let attributes = self.stack.s3.attributes(key)?.with_context(|| format!("{key} has no attributes"))?;
        // Manifests of older versions do not state the CRC.
        let (crc64nvme, of_s3) = (&stated["crc64nvme"], attributes.checksums.get(&Algorithm::Crc64nvme));
        ensure!(crc64nvme.is_null() || crc64nvme.as_str() == of_s3.map(String::as_str), "{key} has a wrong CRC");
        Ok(())
    }

    /// Checks that every log line is JSON and that none contains a secret, a signed URL, or words of a meeting.
    fn check_logs(&self) -> Result<()> {
        let secrets = self.webhook_secrets.iter().map(|secret| secret.trim_start_matches("whsec_").to_owned());
        let mut forbidden: Vec<String> = secrets.chain([self.api_key.clone()]).collect();
        forbidden.extend(["Signature=", "X-Amz-", "AWSAccessKeyId", "v1,", "Token "].map(str::to_owned));
        forbidden.extend(self.phrases());
        for line in self.stack.logs() {
            serde_json::from_str::<Value>(&line).with_context(|| format!("a log line is not JSON: {line}"))?;
            for text in &forbidden {
                ensure!(!line.contains(text.as_str()), "`{text}` is in the log: {line}");
            }
        }
        Ok(())
    }

    /// Returns some groups of three spoken words from every transcript.
    fn phrases(&self) -> BTreeSet<String> {
        let jobs = self.stack.dynamodb.items(JOBS_TABLE).unwrap_or_default();
        let recordings = jobs.iter().filter_map(|job| job["recording_id"].as_str()?.parse().ok());
        let transcripts = recordings.flat_map(|recording| self.simulator().transcripts(recording));
        // Many recordings may share one meeting.
        let files: BTreeSet<Bytes> =
            transcripts.filter_map(|transcript| self.simulator().transcript_bytes(transcript.id)).collect();
        files.iter().flat_map(spoken).collect()
    }

    /// Returns the folder of the bucket.
    pub fn bucket(&self) -> std::path::PathBuf {
        self.stack.s3.root().join(BUCKET)
    }
}

fn spoken(file: &Bytes) -> Vec<String> {
    let turns: Vec<Value> = serde_json::from_slice(file).unwrap_or_default();
    let texts = |turn: &Value| {
        let words = turn["words"].as_array()?.iter().take(3);
        let words: Vec<&str> = words.filter_map(|word| word["text"].as_str()).collect();
        (words.len() == 3).then(|| words.join(" "))
    };
    turns.iter().take(20).filter_map(texts).collect()
}

/// Checks that the table in docs/reliability.md has this figure in this row.
///
/// # Errors
/// The figure differs, or there is no such row. The error says what to write.
pub fn figure(row: &str, measured: usize) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reliability.md");
    let text = std::fs::read_to_string(path).context("docs/reliability.md cannot be read")?;
    let cells = text.lines().find_map(|line| line.strip_prefix(&format!("| {row} | ")));
    let written = cells.and_then(|cells| cells.split(" |").next()).unwrap_or("missing").replace(',', "");
    ensure!(written == measured.to_string(), "docs/reliability.md: `{row}` is {written}; write {measured}");
    Ok(())
}

/// Returns the SHA-256 in lowercase hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Moves the meeting two hours into the past, when its webhooks would already have arrived.
pub fn past(meeting: Meeting) -> Meeting {
    meeting.started_at(in_hours(-2))
}

/// Returns the time this many hours from now, in whole seconds.
pub fn in_hours(hours: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(now() + 60 * 60 * hours).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Seconds since the epoch.
pub fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
