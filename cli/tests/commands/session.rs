//! `whoami`, and what happens without a deployment or without permission.

use anyhow::Result;
use tests::pipeline_test;

use super::harness::{run, run_alone, run_json};

#[tokio::test(flavor = "multi_thread")]
async fn whoami_names_the_deployment() -> Result<()> {
    pipeline_test(async |pipeline| {
        let whoami = run_json(&pipeline, &["whoami"]).await?.json()?;
        assert_eq!((&whoami["stack"], &whoami["account"]), (&"recall-transcripts".into(), &"000000000000".into()));
        assert_eq!(
            (&whoami["version"], &whoami["version"]),
            (&env!("CARGO_PKG_VERSION").into(), &whoami["command_version"])
        );
        let text = run(&pipeline, &["whoami"]).await?;
        assert!(text.status == Some(0) && text.data.contains("recall-transcripts"), "{text:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_stack_is_not_found_and_the_others_are_named() -> Result<()> {
    pipeline_test(async |pipeline| {
        let ran = run(&pipeline, &["--stack", "other", "jobs"]).await?;
        assert_eq!((ran.status, ran.data.as_str()), (Some(3), ""));
        assert!(
            ran.messages.contains("there is no stack other") && ran.messages.contains("recall-transcripts"),
            "{ran:?}"
        );
        assert_eq!(run_json(&pipeline, &["--stack", "other", "jobs"]).await?.error(3)?, "unknown_stack");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn missing_access_to_aws_has_its_own_exit_code() -> Result<()> {
    let id = "00000000-0000-0000-0000-000000000001";
    assert_eq!(run_alone(&["--json", "show", id]).await?.error(1)?, "no_region");
    assert_eq!(run_alone(&["--json", "--region", "eu-central-1", "show", id]).await?.error(4)?, "no_credentials");
    // No one listens there.
    let nowhere = ["--json", "--endpoint-url", "http://127.0.0.1:9", "show", id];
    assert_eq!(run_alone(&nowhere).await?.error(1)?, "aws_unreachable");
    Ok(())
}

#[tokio::test]
async fn help_completions_and_the_manual_need_no_deployment() -> Result<()> {
    let help = run_alone(&["--help"]).await?;
    assert!(help.status == Some(0) && help.data.contains("Exit codes:") && help.data.contains("dismiss"), "{help:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = run_alone(&["completions", shell]).await?;
        assert!(script.status == Some(0) && script.data.contains("recall-transcripts"), "{script:?}");
    }
    let page = run_alone(&["man"]).await?;
    assert!(page.status == Some(0) && page.data.starts_with(".ie") && page.data.contains("recall"), "{page:?}");
    let usage = run_alone(&["retry"]).await?;
    assert!(usage.status == Some(2) && usage.data.is_empty(), "{usage:?}");
    Ok(())
}
