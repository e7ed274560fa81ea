//! The harness itself: a broken promise fails a test, and so does an exception that the test does not need.

use anyhow::Result;
use local::wire::{Fault, Service, When};
use tests::{Exception, PipelineTest, pipeline_test};

fn failure(result: Result<()>) -> String {
    format!("{:#}", result.expect_err("a failed test"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_promise_fails_a_test_that_passed() -> Result<()> {
    let unstruck = pipeline_test(async |pipeline| {
        pipeline.stack.wire.inject(Service::Recall, "GET", When::Before, Fault::Drop, 1);
        Ok(())
    });
    let failure = failure(unstruck.await);
    assert!(failure.contains("a promise is broken") && failure.contains("never struck"), "{failure}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unneeded_exception_fails_a_test_that_passed() -> Result<()> {
    let test = PipelineTest::default().allow(Exception::StoredFileChanged);
    let failure = failure(test.run(async |_| Ok(())).await);
    assert!(failure.contains("the test needs no exception"), "{failure}");
    Ok(())
}
