//! The settings of a simulator.

use std::{fmt, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use pipeline::signature::HeaderFamily;
use uuid::Uuid;

/// How the simulator behaves. Every duration is on the simulator's own clock unless its comment says otherwise.
#[derive(Clone)]
pub struct SimulatorConfig {
    /// The port of the API. 0 takes any free port. Downloads always use another free port.
    pub port: u16,
    /// The only accepted API key.
    pub api_key: String,
    /// The `whsec_…` secrets. All of them sign every delivery, as during a rotation. Without a secret, deliveries have
    /// no signature headers, as before the first secret is created in the dashboard.
    pub webhook_secrets: Vec<String>,
    pub header_family: HeaderFamily,
    /// How much faster than real time the simulator runs: at 60, its minute is a real second. Timestamps stay real,
    /// because the pipeline compares them with its own clock.
    pub speed: f64,
    /// The seed of ids and of random orders.
    pub seed: u64,
    pub limits: Limits,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            port: 0,
            api_key: random_api_key(),
            webhook_secrets: vec![random_webhook_secret()],
            header_family: HeaderFamily::Webhook,
            speed: 1.0,
            seed: 1,
            limits: Limits::default(),
        }
    }
}

/// Shows no secret.
impl fmt::Debug for SimulatorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorConfig")
            .field("port", &self.port)
            .field("header_family", &self.header_family)
            .field("speed", &self.speed)
            .field("seed", &self.seed)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Recall's limits. The defaults are the documented ones. Where the documents are silent or disagree, the field says
/// which reading it uses.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many transcripts a recording may have. Deleting one frees its slot.
    pub transcripts_per_recording: usize,
    /// Whether failed transcripts count toward that limit. The documents have changed, and this is the stricter
    /// reading.
    pub failed_transcripts_count: bool,
    /// How many transcripts a recording may have, whatever their outcome.
    pub attempts_per_recording: usize,
    /// Calls of create_transcript per minute and bot. A recording without a bot has a limit of its own.
    pub creates_per_minute: usize,
    /// Calls per minute of each endpoint for single resources.
    pub calls_per_minute: usize,
    /// Calls per minute of each list.
    pub lists_per_minute: usize,
    /// The number of entries on one page of a list.
    pub page_size: usize,
    /// How long an answer is repeated under the same `Idempotency-Key`.
    pub idempotency: Duration,
    /// How long a download URL works.
    pub url_lifetime: Duration,
    /// How long every transcription takes.
    pub transcription: Duration,
    /// How much longer a transcription takes for each hour of audio.
    pub transcription_per_hour: Duration,
    /// How long a receiver may take to answer a webhook. This is real time, because the receiver is measured.
    pub webhook_timeout: Duration,
    /// Whether a deleted transcript or recording is still shown, with status `deleted` and no URLs, or is a 404. This
    /// is not documented.
    pub deleted_shown: bool,
}

impl Default for Limits {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(60 * 60);
        Self {
            transcripts_per_recording: 10,
            failed_transcripts_count: true,
            attempts_per_recording: 100,
            creates_per_minute: 5,
            calls_per_minute: 300,
            lists_per_minute: 60,
            page_size: 100,
            idempotency: HOUR,
            url_lifetime: 6 * HOUR,
            transcription: Duration::from_secs(2),
            transcription_per_hour: Duration::from_secs(60),
            webhook_timeout: Duration::from_secs(15),
            deleted_shown: false,
        }
    }
}

/// Returns a new webhook secret: `whsec_` and 24 random bytes.
pub fn random_webhook_secret() -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(&random_bytes()[..24]))
}

/// Returns a new API key of 40 hexadecimal digits.
pub fn random_api_key() -> String {
    random_bytes()[..20].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns two random UUIDs, which contain about 30 random bytes.
pub(super) fn random_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    bytes[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    bytes
}
