//! The handle of a running simulator: starts it, and changes its settings.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, Result, ensure};
use pipeline::{
    secret::Secret,
    signature::{self, HeaderFamily},
};
use tokio::{sync::watch, task::JoinSet};

use super::{
    api, clock::Clock, config::SimulatorConfig, download, faults::Faults, idempotency::Answers, model::Model,
    outbox::Outbox, signer::Signer, state::State, throttle::Throttle, urls::DOWNLOAD_HOST,
};
use crate::wire::{Server, Service, Wire, listen, lock, serve};

/// A running simulator. Clones are cheap. It stops, with its transcriptions and deliveries, when the last clone is
/// dropped.
#[derive(Clone)]
pub struct Simulator(Arc<Running>);

struct Running {
    model: Arc<Model>,
    _servers: [Server; 2],
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.model.tasks).abort_all();
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

impl Simulator {
    /// Serves the API as [`Service::Recall`] and the downloads as [`Service::Download`], both on 127.0.0.1. Download
    /// URLs have another host, [`DOWNLOAD_HOST`].
    pub async fn start(wire: &Wire, config: SimulatorConfig) -> Result<Self> {
        ensure!(config.speed > 0.0, "the simulator's speed must be above 0");
        let keys = keys(&config.webhook_secrets)?;
        let clock = Clock { speed: config.speed };
        let (api, port) = listen(config.port).await?;
        let (bucket, bucket_port) = listen(0).await?;
        let mut state = State::new(config.api_key, config.seed);
        let workspace = state.id();
        let lifetime = clock.real(config.limits.url_lifetime);
        let model = Arc::new(Model {
            base_url: format!("http://127.0.0.1:{port}"),
            limits: config.limits,
            clock,
            faults: Faults::default(),
            state: Mutex::new(state),
            outbox: Outbox::new(keys, config.header_family),
            answers: Answers::default(),
            throttle: Throttle::default(),
            signer: Signer::new(format!("http://{DOWNLOAD_HOST}:{bucket_port}"), workspace, lifetime),
            keys_leaked: AtomicUsize::new(0),
            changes: watch::Sender::new(0),
            tasks: Mutex::new(JoinSet::new()),
        });
        let servers = [
            serve(wire, Service::Recall, api, api::router(model.clone())),
            serve(wire, Service::Download, bucket, download::router(model.clone())),
        ];
        Ok(Self(Arc::new(Running { model, _servers: servers })))
    }

    /// `http://127.0.0.1:PORT`
    pub fn base_url(&self) -> &str {
        &self.model().base_url
    }

    /// Returns how many downloads came with an Authorization header: each of them showed the API's key to another host.
    pub fn keys_leaked(&self) -> usize {
        self.model().keys_leaked.load(Ordering::SeqCst)
    }

    /// Sets where webhooks are sent. With `None`, they are lost, including those that wait for a retry.
    pub fn set_webhook_url(&self, url: Option<String>) {
        lock(&self.model().outbox.settings).url = url;
    }

    /// Signs all further webhooks with all of these secrets. Without a secret, they are unsigned.
    pub fn set_webhook_secrets(&self, secrets: &[String]) -> Result<()> {
        let keys = keys(secrets)?;
        lock(&self.model().outbox.settings).keys = keys;
        Ok(())
    }

    /// Sets the names of the signature headers.
    pub fn set_header_family(&self, family: HeaderFamily) {
        lock(&self.model().outbox.settings).family = family;
    }

    /// Accepts only this key from now on.
    pub fn set_api_key(&self, key: String) {
        lock(&self.model().state).api_key = key;
    }

    /// The faults, which can be changed at any time.
    pub fn faults(&self) -> &Faults {
        &self.model().faults
    }

    pub(super) fn model(&self) -> &Arc<Model> {
        &self.0.model
    }
}

/// Returns the keys inside webhook secrets.
fn keys(secrets: &[String]) -> Result<Vec<Secret<Vec<u8>>>> {
    let key = |secret: &String| signature::key(secret).context("a webhook secret must be `whsec_` followed by base64");
    secrets.iter().map(key).collect()
}
