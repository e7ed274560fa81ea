//! `pause` and `resume`.

use anyhow::Result;
use local::recall::Meeting;
use serde_json::json;
use tests::PipelineTest;

use super::harness::{run, run_json};

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_all_spending_until_resume() -> Result<()> {
    let test = PipelineTest::default();
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        let asked = run(&pipeline, &["pause"]).await?;
        assert!(asked.status == Some(7) && asked.messages.contains("five days"), "{asked:?}");
        let dry = run_json(&pipeline, &["pause", "--dry-run"]).await?.json()?;
        assert_eq!((&dry["paused"], &dry["work_source"]), (&json!(false), &json!("Enabled")));
        let paused = run_json(&pipeline, &["pause", "--yes", "--quiet"]).await?.json()?;
        assert_eq!((&paused["paused"], &paused["webhook_concurrency"]), (&json!(true), &json!(0)));

        let recording = simulator.play(Meeting::short(1));
        let is_refused = || Ok(simulator.deliveries().iter().any(|delivery| delivery.status == Some(429)));
        pipeline.wait_until("a webhook that is refused", is_refused).await?;
        assert_eq!((simulator.creates(recording), pipeline.job(recording)?), (0, None));
        let again = run_json(&pipeline, &["pause", "--yes", "--quiet"]).await?.json()?;
        assert_eq!(again, paused, "a second pause changes nothing");

        let resumed = run_json(&pipeline, &["resume", "--yes", "--quiet"]).await?.json()?;
        assert_eq!((&resumed["paused"], &resumed["webhook_concurrency"]), (&json!(false), &json!(null)));
        // Recall sends the refused webhook again.
        pipeline.ends_stored(recording).await?;
        assert_eq!(simulator.creates(recording), 1);
        Ok(())
    })
    .await
}
