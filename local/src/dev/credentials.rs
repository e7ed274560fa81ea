//! The API key and the webhook secrets: from the environment, or generated for the simulator.

use std::{env::VarError, fmt};

use anyhow::{Result, bail, ensure};
use pipeline::{credentials, secret::Secret};

use super::SPEED;
use crate::{
    recall::{SimulatorConfig, random_api_key, random_webhook_secret},
    stack::RecallTarget,
};

const API_KEY: &str = "RECALL_API_KEY";
const WEBHOOK_SECRETS: &str = "RECALL_WEBHOOK_SECRETS";

/// A key and webhook secrets in the form that the functions accept.
pub struct Credentials {
    api_key: Given<String>,
    webhook_secrets: Given<Vec<String>>,
}

/// A value and its origin: only a generated value may be shown.
enum Given<T> {
    Brought(T),
    MadeUp(T),
}

impl<T> Given<T> {
    fn value(&self) -> &T {
        match self {
            Self::Brought(value) | Self::MadeUp(value) => value,
        }
    }
}

impl Credentials {
    /// Reads RECALL_API_KEY and RECALL_WEBHOOK_SECRETS. Values that are not set are generated for the simulator.
    ///
    /// # Errors
    /// A variable is invalid, or missing although it is required. The error names it, but never quotes it.
    pub fn from_env(required: bool) -> Result<Self> {
        let credentials = Self::parse(variable(API_KEY)?.as_deref(), variable(WEBHOOK_SECRETS)?.as_deref())?;
        if required {
            ensure!(
                matches!(credentials.api_key, Given::Brought(_)),
                "{API_KEY} is missing: set it to your key for that region"
            );
            ensure!(
                matches!(credentials.webhook_secrets, Given::Brought(_)),
                "{WEBHOOK_SECRETS} is missing: set it to the whsec_… secret of the dashboard's Webhooks page"
            );
        }
        Ok(credentials)
    }

    /// This uses the functions' own parser, so the functions accept every value that is accepted here.
    fn parse(api_key: Option<&str>, webhook_secrets: Option<&str>) -> Result<Self> {
        let api_key = api_key.map(str::trim).filter(|key| !key.is_empty());
        if let Some(key) = api_key
            && let Err(problem) = credentials::Credentials::parse::<&str>(key, &[])
        {
            bail!("{API_KEY}: {problem}; copy it from the dashboard");
        }
        let api_key = match api_key {
            Some(key) => Given::Brought(key.to_owned()),
            None => Given::MadeUp(random_api_key()),
        };
        let secrets = webhook_secrets.unwrap_or_default().split(',').map(str::trim);
        let secrets: Vec<String> = secrets.filter(|secret| !secret.is_empty()).map(str::to_owned).collect();
        if let Err(problem) = credentials::Credentials::parse(api_key.value(), &secrets) {
            bail!("{WEBHOOK_SECRETS}: {problem}");
        }
        let webhook_secrets = match secrets.is_empty() {
            false => Given::Brought(secrets),
            true => Given::MadeUp(vec![random_webhook_secret()]),
        };
        Ok(Self { api_key, webhook_secrets })
    }

    /// The key, for the one call that needs it.
    pub fn api_key(&self) -> &str {
        self.api_key.value()
    }

    /// Returns the real Recall of a region, or a simulator, with these credentials.
    pub fn target(&self, region: Option<String>) -> RecallTarget {
        match region {
            Some(region) => RecallTarget::Real {
                region,
                api_key: Secret::new(self.api_key.value().clone()),
                webhook_secrets: Secret::new(self.webhook_secrets.value().clone()),
            },
            None => RecallTarget::Simulator(self.simulator()),
        }
    }

    /// Returns the settings of a simulator with these credentials, on any free port.
    pub fn simulator(&self) -> SimulatorConfig {
        SimulatorConfig {
            api_key: self.api_key.value().clone(),
            webhook_secrets: self.webhook_secrets.value().clone(),
            speed: SPEED,
            seed: fastrand::u64(..),
            ..SimulatorConfig::default()
        }
    }

    /// Returns what the user may see: the generated values, and the names of the variables for given values.
    pub fn shown(&self) -> [(&'static str, String); 2] {
        let from = |name: &str| format!("from {name}");
        [
            match &self.api_key {
                Given::MadeUp(key) => ("API key", key.clone()),
                Given::Brought(_) => ("API key", from(API_KEY)),
            },
            match &self.webhook_secrets {
                Given::MadeUp(secrets) => ("secrets", secrets.join(",")),
                Given::Brought(_) => ("secrets", from(WEBHOOK_SECRETS)),
            },
        ]
    }
}

/// Shows no secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

fn variable(name: &str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => bail!("{name} is not text; copy it from the dashboard"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";
    const SECRET: &str = "whsec_c2VjcmV0";

    fn shown(api_key: Option<&str>, secrets: Option<&str>) -> String {
        format!("{:?}", Credentials::parse(api_key, secrets).expect("good values").shown())
    }

    fn problem(api_key: &str, secrets: &str) -> String {
        format!("{:#}", Credentials::parse(Some(api_key), Some(secrets)).expect_err("a bad value"))
    }

    #[test]
    fn generated_credentials_alone_are_shown() {
        let both_brought = shown(Some(KEY), Some(SECRET));
        assert!(!both_brought.contains(KEY) && !both_brought.contains("whsec_"), "{both_brought}");
        let key_brought = shown(Some(KEY), None);
        assert!(!key_brought.contains(KEY) && key_brought.contains("whsec_"), "{key_brought}");
        let secret_brought = shown(None, Some(SECRET));
        assert!(!secret_brought.contains(SECRET) && !secret_brought.contains(API_KEY), "{secret_brought}");
        // An empty value counts as missing, as it does in the functions.
        assert!(shown(Some(" "), Some(" , ")).contains("whsec_"));
    }

    #[test]
    fn given_credentials_are_used() {
        let credentials = Credentials::parse(Some(" 0123456789abcdef\n"), Some("whsec_c2VjcmV0, whsec_b3RoZXI="));
        let credentials = credentials.expect("good values");
        assert_eq!(credentials.api_key(), KEY);
        assert_eq!(credentials.webhook_secrets.value(), &[SECRET, "whsec_b3RoZXI="]);
        assert!(!format!("{credentials:?}").contains("0123"));
    }

    #[test]
    fn a_bad_value_is_named_but_not_quoted() {
        for key in ["two words", "schlüssel", "tab\there", "nul\0"] {
            let problem = problem(key, SECRET);
            assert!(problem.starts_with(API_KEY) && !problem.contains(key), "{problem}");
        }
        for secret in ["whsec_", "whsec_***", "whsec_c2VjcmV", KEY] {
            let problem = problem(KEY, &format!("{SECRET},{secret}"));
            assert!(problem.starts_with(WEBHOOK_SECRETS) && problem.contains("number 2"), "{problem}");
            assert!(!problem.contains("***") && !problem.contains("c2Vj") && !problem.contains(KEY), "{problem}");
        }
    }
}
