use aws_sdk_eventbridge::{Client, error::ProvideErrorMetadata as _, types::PutEventsRequestEntry};
use pipeline::{
    aws::Aws,
    bus::{BusError, SOURCE},
    env::{Env, Reader},
};
use serde::Serialize;

use super::*;
use crate::{
    ACCESS_KEY, SECRET_KEY,
    wire::{Fault, When},
};

const BUS: &str = "transcripts";

/// The stand-in, and the SDK's client as the functions use it.
struct Lab {
    wire: Wire,
    bus: Bus,
    client: Client,
}

impl Lab {
    async fn start() -> Result<Lab> {
        let wire = Wire::default();
        let bus = Bus::start(&wire, BUS).await?;
        let env = Env::from_pairs([
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", bus.endpoint()),
        ]);
        let mut reader = Reader::new(&env);
        let client = Aws::read(&env, &mut reader).event_bridge();
        reader.finish(Lab { wire, bus, client }).map_err(Into::into)
    }

    async fn put(&self, detail_type: &str, detail: &impl Serialize) -> Result<(), BusError> {
        pipeline::bus::Bus::new(self.client.clone(), BUS.to_owned()).put(detail_type, detail).await
    }

    /// Returns the detail type and the detail of the accepted events.
    fn taken(&self) -> Vec<(String, Value)> {
        self.bus.events().into_iter().map(|event| (event.detail_type, Value::Object(event.detail))).collect()
    }
}

fn taken(detail_type: &str, detail: Value) -> (String, Value) {
    (detail_type.to_owned(), detail)
}

#[tokio::test]
async fn events_are_kept_in_order() -> Result<()> {
    let lab = Lab::start().await?;
    lab.put("Transcript Stored", &json!({"id": 1})).await?;
    lab.put("Transcript Failed", &json!({"id": 2})).await?;
    assert_eq!(
        lab.taken(),
        [taken("Transcript Stored", json!({"id": 1})), taken("Transcript Failed", json!({"id": 2}))]
    );
    assert!(lab.bus.events().iter().all(|event| event.source == "recall-transcripts"));
    assert_eq!(lab.wire.count(Service::EventBridge, "PutEvents"), 2);
    lab.bus.clear();
    assert_eq!(lab.taken(), []);
    Ok(())
}

#[tokio::test]
async fn a_refused_entry_is_an_error_that_does_not_quote_it() -> Result<()> {
    let lab = Lab::start().await?;
    for (detail_type, detail, code) in
        [("Transcript Stored", json!(["Ada"]), "MalformedDetail"), ("", json!({"speaker": "Ada"}), "InvalidArgument")]
    {
        let Err(error) = lab.put(detail_type, &detail).await else { anyhow::bail!("it was accepted") };
        assert!(matches!(&error, BusError::Refused { code: refused } if refused == code), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("Ada"), "{error:?}");
    }
    assert_eq!((lab.taken(), lab.wire.count(Service::EventBridge, "PutEvents")), (vec![], 2));
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_makes_two_events_of_one() -> Result<()> {
    let lab = Lab::start().await?;
    lab.wire.inject(Service::EventBridge, "PutEvents", When::After, Fault::Drop, 1);
    lab.put("Transcript Stored", &json!({"id": 1})).await?;
    assert_eq!(lab.taken(), vec![taken("Transcript Stored", json!({"id": 1})); 2]);
    let events = lab.bus.events();
    assert_ne!(events[0].id, events[1].id);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_names_no_event_is_an_error() -> Result<()> {
    let lab = Lab::start().await?;
    let empty = Fault::Answer { status: 200, retry_after: None };
    lab.wire.inject(Service::EventBridge, "PutEvents", When::Before, empty, 1);
    let put = lab.put("Transcript Stored", &json!({"id": 1})).await;
    assert!(matches!(put, Err(BusError::Unavailable(_))), "{put:?}");
    Ok(())
}

#[tokio::test]
async fn an_event_over_the_limit_is_not_sent() -> Result<()> {
    let lab = Lab::start().await?;
    let around = SOURCE.len() + "Large".len() + r#"{"a":""}"#.len();
    let largest = "x".repeat(256 * 1024 - around);
    lab.put("Large", &json!({"a": largest})).await?;
    let put = lab.put("Large", &json!({"a": largest + "x"})).await;
    assert!(matches!(put, Err(BusError::TooLarge { bytes: 262_145 })), "{put:?}");
    assert_eq!(lab.wire.count(Service::EventBridge, "PutEvents"), 1);
    Ok(())
}

#[tokio::test]
async fn an_event_for_another_bus_is_taken_and_lost() -> Result<()> {
    let lab = Lab::start().await?;
    let arn = format!("arn:aws:events:{REGION}:{ACCOUNT_ID}:event-bus/{BUS}");
    for (name, kept) in [("nothing", 0), ("default", 0), (arn.as_str(), 1)] {
        pipeline::bus::Bus::new(lab.client.clone(), name.to_owned()).put("Transcript Stored", &json!({})).await?;
        assert_eq!(lab.taken().len(), kept, "{name}");
    }
    Ok(())
}

fn entry() -> aws_sdk_eventbridge::types::builders::PutEventsRequestEntryBuilder {
    PutEventsRequestEntry::builder().event_bus_name(BUS).source("s").detail_type("t").detail("{}")
}

#[tokio::test]
async fn each_entry_is_judged_by_itself() -> Result<()> {
    let lab = Lab::start().await?;
    let entries = [
        (entry(), None),
        (entry().set_source(None), Some("InvalidArgument")),
        (entry().set_detail_type(None), Some("InvalidArgument")),
        (entry().set_detail(None), Some("InvalidArgument")),
        (entry().source(""), Some("InvalidArgument")),
        (entry().detail("{"), Some("MalformedDetail")),
        (entry().detail("[]"), Some("MalformedDetail")),
        (entry().detail("\"text\""), Some("MalformedDetail")),
        (entry().detail(r#"{"a":1}"#), None),
    ];
    let (entries, codes): (Vec<_>, Vec<_>) = entries.into_iter().map(|(entry, code)| (entry.build(), code)).unzip();
    let output = lab.client.put_events().set_entries(Some(entries)).send().await?;
    assert_eq!(output.failed_entry_count(), 7);
    let answered: Vec<_> = output.entries().iter().map(|entry| entry.error_code()).collect();
    assert_eq!(answered, codes);
    let ids: Vec<_> = output.entries().iter().filter_map(|entry| entry.event_id().map(str::to_owned)).collect();
    assert_eq!(ids, lab.bus.events().iter().map(|event| event.id.to_string()).collect::<Vec<_>>());
    assert_eq!(lab.taken(), [taken("t", json!({})), taken("t", json!({"a": 1}))]);
    Ok(())
}

#[tokio::test]
async fn a_call_that_asks_too_much_is_refused_as_a_whole() -> Result<()> {
    let lab = Lab::start().await?;
    let half = entry().detail(json!({"a": "x".repeat(128 * 1024)}).to_string()).build();
    for entries in [vec![], vec![entry().build(); 11], vec![half; 2]] {
        let put = lab.client.put_events().set_entries(Some(entries)).send().await;
        assert_eq!(put.err().and_then(|error| error.code().map(str::to_owned)).as_deref(), Some("ValidationException"));
    }
    let other = lab.client.list_event_buses().send().await;
    assert_eq!(
        other.err().and_then(|error| error.code().map(str::to_owned)).as_deref(),
        Some("UnknownOperationException")
    );
    assert_eq!(lab.taken(), []);
    Ok(())
}
