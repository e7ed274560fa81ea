//! Builds the function binaries with cargo, so the local stack runs the code that ships.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::timeout,
};

/// The limit for a build. A longer build waits for something: another cargo that holds the target folder, or the
/// network.
const BUILD_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The built function binaries.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub webhook: PathBuf,
    pub transcript: PathBuf,
    pub sweep: PathBuf,
}

impl Binaries {
    /// Builds the functions with cargo, which takes a moment if nothing has changed. Cargo's messages go to standard
    /// error.
    pub async fn build() -> Result<Self> {
        Self::build_with(&[]).await
    }

    /// Builds the functions as they ship, optimized and stripped, which takes minutes.
    pub async fn build_release() -> Result<Self> {
        Self::build_with(&["--release"]).await
    }

    async fn build_with(profile: &[&str]) -> Result<Self> {
        let built = timeout(BUILD_TIMEOUT, Self::run_cargo(profile)).await;
        let minutes = BUILD_TIMEOUT.as_secs() / 60;
        built
            .with_context(|| format!("the build did not finish within {minutes} minutes; is another cargo running?"))?
    }

    async fn run_cargo(profile: &[&str]) -> Result<Self> {
        // `cargo run` and `cargo test` set this to the cargo that built this program.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(&cargo);
        // These variables describe the package that runs. They would look like a change to ring's build script, and
        // with ring, nearly everything would be built again.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                build.env_remove(&*name);
            }
        }
        // Shows the user the progress of the build, and what it waits for.
        let quiet: &[&str] = if std::io::stderr().is_terminal() { &[] } else { &["--quiet"] };
        let mut build = build
            .args(["build", "--package", "webhook", "--package", "transcript", "--package", "sweep"])
            .args(quiet)
            .args(profile)
            .args(["--message-format", "json-render-diagnostics"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be run", cargo.display()))?;
        let output = build.stdout.take().context("cargo has no output")?;
        let mut lines = BufReader::new(output).lines();
        let (mut webhook, mut transcript, mut sweep) = (None, None, None);
        while let Some(line) = lines.next_line().await.context("cargo's output ended early")? {
            let message: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            let binary = message["executable"].as_str().map(PathBuf::from);
            match (message["target"]["name"].as_str(), binary) {
                (Some("webhook"), Some(binary)) => webhook = Some(binary),
                (Some("transcript"), Some(binary)) => transcript = Some(binary),
                (Some("sweep"), Some(binary)) => sweep = Some(binary),
                (_, _) => {}
            }
        }
        let status = build.wait().await.context("cargo did not end")?;
        ensure!(status.success(), "the functions could not be built ({status}); cargo's messages are above");
        Ok(Self {
            webhook: webhook.context("cargo built no binary of the webhook function")?,
            transcript: transcript.context("cargo built no binary of the transcript function")?,
            sweep: sweep.context("cargo built no binary of the sweep function")?,
        })
    }
}
