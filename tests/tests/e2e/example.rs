//! "Send example" in Recall's dashboard: the first button that an operator presses.

use anyhow::Result;
use local::wire::Service;
use tests::Pipeline;

#[tokio::test(flavor = "multi_thread")]
async fn an_example_is_taken_at_its_first_delivery_and_pays_nothing() -> Result<()> {
    let pipeline = Pipeline::start().await?;
    for event in ["recording.done", "transcript.done"] {
        let recording = pipeline.simulator().send_example(event);
        let of_it = |it: &local::recall::Simulator| {
            it.deliveries().into_iter().find(|delivery| delivery.recording_id == Some(recording))
        };
        let first = pipeline.simulator().wait_for(of_it).await;
        assert_eq!((first.attempt, first.status), (1, Some(200)), "{event}");
    }
    // Recall was asked about both, and knows neither.
    for operation in ["/create_transcript/", "GET /api/v1/transcript/"] {
        let asked = || {
            let calls = pipeline.stack.wire.calls();
            Ok(calls.iter().any(|call| {
                call.service == Service::Recall && call.operation.contains(operation) && call.status == Some(404)
            }))
        };
        pipeline.wait_until(operation, asked).await?;
    }
    assert_eq!(pipeline.simulator().all_creates(), 0);
    assert_eq!(pipeline.dead_letters().await?.len(), 0);
    let told: Vec<String> = pipeline.stack.bus.events().into_iter().map(|event| event.detail_type).collect();
    assert_eq!(told, Vec::<String>::new(), "there is nothing to tell of");
    pipeline.check_promises()
}
