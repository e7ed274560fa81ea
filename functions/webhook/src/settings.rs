//! The webhook function's settings.

use shared::{
    aws::Aws,
    env::{BadSettings, Env, Reader},
    secret::SecretSource,
    settings::{CreateSettings, RecallSettings, read_secret_source},
};

#[derive(Debug)]
pub struct Settings {
    pub aws: Aws,
    pub recall: RecallSettings,
    pub create: CreateSettings,
    pub secrets: SecretSource,
    pub jobs_table: String,
    pub work_queue_url: String,
    pub dead_letter_queue_url: String,
}

impl Settings {
    /// # Errors
    /// Every missing or wrong setting, in one error.
    pub fn read(env: &Env) -> Result<Self, BadSettings> {
        let mut reader = Reader::new(env);
        let settings = Self {
            aws: Aws::read(env, &mut reader),
            recall: RecallSettings::read(&mut reader),
            create: CreateSettings::read(&mut reader),
            secrets: read_secret_source(&mut reader, true),
            jobs_table: reader.required("JOBS_TABLE", "the name of the jobs table"),
            work_queue_url: reader.required("WORK_QUEUE_URL", "the URL of the work queue"),
            dead_letter_queue_url: reader.required("DEAD_LETTER_QUEUE_URL", "the URL of the dead-letter queue"),
        };
        reader.finish(settings)
    }
}
