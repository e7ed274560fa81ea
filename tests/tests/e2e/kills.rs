//! Kills the real processes with SIGKILL at every boundary of an effect, on each side of it. Every call that changes
//! something outside is covered. Each recording ends as it should: paid once, nothing torn, and nothing left behind.

mod play;
mod scenes;
mod table;

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use expect_test::expect_file;
use local::{
    recall::{DownloadFault, Meeting, Target},
    stack::JOBS_TABLE,
    wire::{Fault, Service, When},
};
use tests::{PipelineTest, figure};
use tokio::{sync::Semaphore, task::JoinSet};

use self::{
    play::{Play, Side},
    scenes::Scene,
    table::{boundaries, lines},
};

/// How many pipelines run at once in one test.
const AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn the_table_has_every_effect() -> Result<()> {
    let mut table = String::new();
    for scene in Scene::ALL {
        let test = scene.test();
        let lines = test.run(async |pipeline| {
            let begun = scene.begin(&pipeline).await?;
            let mut play = Play::new(&pipeline, begun.recording());
            play.finish().await.with_context(|| format!("{scene:?}, without a kill"))?;
            scene.check(&pipeline, &begun).await.with_context(|| format!("{scene:?}, without a kill"))?;
            lines(scene, &play.calls)
        });
        table += &lines.await?;
    }
    expect_file!["kills/table.txt"].assert_eq(&table);
    figure("Boundaries of an effect that are killed at", table.lines().count())
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_before_each_effect_are_survived() -> Result<()> {
    kill_everywhere(Side::Before).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_after_each_effect_with_its_answer_lost_are_survived() -> Result<()> {
    kill_everywhere(Side::AnswerLost).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_after_the_answer_to_each_effect_are_survived() -> Result<()> {
    kill_everywhere(Side::Answered).await
}

async fn kill_everywhere(side: Side) -> Result<()> {
    let (places, mut scenes) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for scene in Scene::ALL {
        let places = Arc::clone(&places);
        scenes.spawn(async move {
            let _place = places.acquire_owned().await?;
            kill_in(scene, side).await
        });
    }
    let results = scenes.join_all().await.into_iter();
    let failures: Vec<String> = results.filter_map(|result| Some(format!("{:#}", result.err()?))).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

async fn kill_in(scene: Scene, side: Side) -> Result<()> {
    let test = scene.test().run(async |pipeline| {
        for boundary in boundaries(scene)? {
            let logged = pipeline.stack.logs().len();
            let begun = scene.begin(&pipeline).await.with_context(|| format!("the beginning of {scene:?}"))?;
            let mut play = Play::new(&pipeline, begun.recording());
            play.kill_at(&boundary, side);
            let ended = play.finish().await;
            let checked = match ended {
                Ok(()) => scene.check(&pipeline, &begun).await.and_then(|()| pipeline.check_bucket()),
                Err(error) => Err(error),
            };
            checked.with_context(|| {
                let logs = pipeline.stack.logs().split_off(logged).join("\n");
                format!(
                    "{scene:?}, {side:?} of {boundary:?}: its row is {:?}\n{logs}",
                    pipeline.stack.dynamodb.items(JOBS_TABLE)
                )
            })?;
        }
        Ok(())
    });
    test.await.with_context(|| format!("{scene:?}, {side:?}"))
}

/// Time is not moved here: the lease ends by itself, and Recall delivers again.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_webhook_is_replaced_in_real_time() -> Result<()> {
    let test = PipelineTest::hasty();
    test.run(async |pipeline| {
        let mut hangs = pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::After, Fault::Hold, 1);
        let recording = pipeline.simulator().play(Meeting::short(1));
        hangs.reach(1).await?;
        assert_eq!(pipeline.status(recording)?.as_deref(), Some("creating"), "the intent is saved before the call");
        pipeline.stack.webhook.kill().await;
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

/// Time is not moved here either: the message comes back when its visibility timeout ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_copy_is_repeated_in_real_time() -> Result<()> {
    let test = PipelineTest::hasty();
    test.run(async |pipeline| {
        pipeline.simulator().faults().download(Target::next(1), DownloadFault::Stalled { after: 6_000_000 });
        let recording = pipeline.simulator().play(Meeting::large(7_000_000));
        pipeline.wait_until("a part in S3", || Ok(pipeline.stack.wire.count(Service::S3, "partNumber=1") == 1)).await?;
        assert_eq!(pipeline.stack.s3.open_uploads()?.len(), 1);
        pipeline.stack.transcript.kill().await;
        assert_eq!(pipeline.stack.s3.keys()?, Vec::<String>::new(), "half of a file is visible");
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

/// A copy that takes too long stops by itself, with time left to clean up.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_out_of_time_cleans_up() -> Result<()> {
    let test = PipelineTest::hasty();
    test.run(async |pipeline| {
        pipeline.simulator().faults().download(Target::next(1), DownloadFault::Stalled { after: 6_000_000 });
        let recording = pipeline.simulator().play(Meeting::large(7_000_000));
        pipeline
            .wait_until("the end of the copy", || {
                Ok(pipeline.stack.logs().iter().any(|line| line.contains("took longer than the invocation")))
            })
            .await?;
        assert!(pipeline.stack.s3.open_uploads()?.is_empty(), "it did not clean up");
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}
