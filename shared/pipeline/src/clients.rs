//! What every function sets up once: its clients, and how it warms them up. Also the calls to Recall that two functions
//! make for the core.

use std::{error::Error, sync::Arc, time::Duration};

use job::{CreateAnswer, LookUpAnswer, RecordingAnswer, ids::RecordingId};

use crate::{
    deadline::Deadline,
    recall::{Create, Recall, Wanted, http_client, tls},
    secret::Secrets,
    settings::{Common, CreateSettings},
    store::Store,
    time,
    work_queue::WorkQueue,
};

/// How long init may wait for the secret. A failure is logged where it happens, and the first invocation tries again.
const WARM_UP: Duration = Duration::from_millis(500);

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
    /// # Errors
    /// The HTTP stack could not be set up.
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

    /// Uses the full speed of the init phase for the first handshake.
    pub async fn warm_up(&self) {
        let _ = tokio::time::timeout(WARM_UP, self.secrets.get()).await;
    }

    /// Makes the paid call for one attempt.
    pub async fn create_transcript(&self, wanted: Wanted<'_>, delivery_id: &str, deadline: Deadline) -> CreateAnswer {
        let create = Create::new(&self.create, wanted, delivery_id, deadline.for_call(time::now()));
        self.recall.create_transcript(create).await
    }

    /// Lists the transcripts of a recording.
    pub async fn look_up(&self, recording_id: RecordingId, deadline: Deadline) -> LookUpAnswer {
        self.recall.look_up(recording_id, deadline.for_call(time::now())).await
    }

    /// Retrieves the recording, for its metadata.
    pub async fn read_recording(&self, recording_id: RecordingId, deadline: Deadline) -> RecordingAnswer {
        let chain = &self.create.policy.providers;
        self.recall.read_recording(recording_id, chain, deadline.for_call(time::now())).await
    }
}
