//! The clients that every function sets up and warms up once, and the calls to Recall that two functions make for the
//! core.

use std::{error::Error, sync::Arc, time::Duration};

use job::{CreateAnswer, LookUpAnswer, RecordingAnswer, ids::RecordingId};

use crate::{
    credentials::Secrets,
    deadline::Deadline,
    recall::{AttemptSpec, Create, Recall, http_client, tls},
    settings::{Common, CreateSettings},
    store::Store,
    time,
    work_queue::WorkQueue,
};

/// How long init may wait for the secret. If reading it fails, `secret.rs` logs that, and the first invocation tries
/// again.
const WARM_UP_TIMEOUT: Duration = Duration::from_millis(500);

/// The clients that every function has.
#[derive(Debug)]
pub struct Clients {
    pub create: CreateSettings,
    pub secrets: Arc<Secrets>,
    pub recall: Recall,
    pub store: Store,
    pub work: WorkQueue,
}

impl Clients {
    /// Sets up the clients.
    ///
    /// # Errors
    /// The HTTP client could not be set up.
    pub fn new(common: &Common) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let secrets = Arc::new(Secrets::new(common.secrets.clone(), common.aws.secrets_manager()));
        Ok(Self {
            create: common.create.clone(),
            recall: Recall::new(http_client(tls()?)?.build()?, &common.recall, Arc::clone(&secrets)),
            secrets,
            store: Store::new(common.aws.dynamodb(), common.jobs_table.clone()),
            work: WorkQueue::new(common.aws.sqs(), common.work_queue_url.clone()),
        })
    }

    /// Reads the secret during init, where the CPU is at full speed, so that no invocation waits for the first
    /// handshake.
    pub async fn warm_up(&self) {
        let _ = tokio::time::timeout(WARM_UP_TIMEOUT, self.secrets.get()).await;
    }

    /// Makes the paid call for one attempt.
    pub async fn create_transcript(
        &self,
        spec: AttemptSpec<'_>,
        delivery_id: &str,
        deadline: Deadline,
    ) -> CreateAnswer {
        let create = Create::new(&self.create, spec, delivery_id, deadline.call_timeout(time::now()));
        self.recall.create_transcript(create).await
    }

    /// Lists the transcripts of a recording.
    pub async fn look_up(&self, recording_id: RecordingId, deadline: Deadline) -> LookUpAnswer {
        self.recall.look_up(recording_id, deadline.call_timeout(time::now())).await
    }

    /// Retrieves the recording to read its metadata.
    pub async fn read_recording(&self, recording_id: RecordingId, deadline: Deadline) -> RecordingAnswer {
        let chain = &self.create.policy.providers;
        self.recall.read_recording(recording_id, chain, deadline.call_timeout(time::now())).await
    }
}
