//! The webhook function's settings.

use pipeline::{
    env::{BadSettings, Env, Reader},
    settings::Common,
};

#[derive(Debug)]
pub struct Settings {
    pub common: Common,
    pub dead_letter_queue_url: String,
}

impl Settings {
    /// # Errors
    /// One error that names every missing or invalid setting.
    pub fn read(env: &Env) -> Result<Self, BadSettings> {
        let mut reader = Reader::new(env);
        let settings = Self {
            common: Common::read(env, &mut reader, true),
            dead_letter_queue_url: reader.required("DEAD_LETTER_QUEUE_URL", "the URL of the dead-letter queue"),
        };
        reader.finish(settings)
    }
}
