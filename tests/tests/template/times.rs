//! Timeouts, leases, visibility, and retention fit together.

use std::time::Duration;

use job::{KEY_REUSE, LIST_SETTLE};
use local::stack::{MAX_RECEIVES, StackConfig};
use pipeline::{recall::CALL_TIMEOUT, work_queue::MAX_DELAY};
use serde_json::Value;

use crate::{read, template, text};

/// The time that Svix gives an endpoint.
const SENDER_WAITS: Duration = Duration::from_secs(15);
/// How long Recall remembers an idempotency key.
const KEY_IS_KNOWN: Duration = Duration::from_secs(60 * 60);
/// How long a lease outlasts its invocation, and more: `LEASE_MARGIN` in `deadline.rs` is 2 s.
const AFTER_INVOCATION: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn seconds(value: &Value) -> Duration {
    Duration::from_secs(value.as_u64().unwrap_or_else(|| panic!("{value} is not a number of seconds")))
}

fn time_out(template: &Value, function: &str) -> Duration {
    seconds(&template["Resources"][function]["Properties"]["Timeout"])
}

#[test]
fn the_webhook_answers_while_its_sender_waits_and_has_time_for_the_paid_call() {
    let webhook = time_out(&template(), "Webhook");
    assert!(webhook < SENDER_WAITS);
    assert!(webhook > CALL_TIMEOUT + Duration::from_secs(2), "the function also needs time to load, save, and answer");
    assert_eq!(webhook, StackConfig::default().webhook_timeout, "the tests use another timeout");
}

#[test]
fn messages_stay_hidden_while_a_function_works() {
    let template = template();
    let (transcript, queue) = (time_out(&template, "Transcript"), &template["Resources"]["WorkQueue"]["Properties"]);
    let visibility = seconds(&queue["VisibilityTimeout"]);
    assert!(visibility >= 6 * transcript, "AWS recommends six times the timeout, not {visibility:?}");
    assert!(visibility >= transcript + AFTER_INVOCATION, "a message must stay hidden until the lease has expired");
    // A message whose wait is not over is hidden for at most this long, and must not expire in the meantime.
    let retention = seconds(&queue["MessageRetentionPeriod"]);
    assert!(retention > MAX_RECEIVES * visibility.max(MAX_DELAY));
    assert_eq!(queue["RedrivePolicy"]["maxReceiveCount"], MAX_RECEIVES);
    let dead = seconds(&template["Resources"]["DeadLetterQueue"]["Properties"]["MessageRetentionPeriod"]);
    assert_eq!(dead, 14 * DAY, "14 days is the longest retention of SQS");
    // SQS counts from the first send, so a message that is moved late stays only for the rest of that time.
    assert!(dead - retention >= 7 * DAY, "a message must stay on the dead-letter queue for at least 7 days");
    let manual = read("docs/operating.md").replace('\n', " ");
    assert!(manual.contains("for 14 days from the first send, so for 7 days at least"), "the runbook has other times");
}

#[test]
fn a_key_is_not_used_when_recall_may_have_forgotten_it() {
    let template = template();
    for function in ["Webhook", "Transcript", "Sweep"] {
        let latest = KEY_REUSE + time_out(&template, function) + AFTER_INVOCATION + LIST_SETTLE;
        assert!(latest < KEY_IS_KNOWN, "{function}: {latest:?}");
    }
}

#[test]
fn a_sweep_ends_before_the_next_begins() {
    let template = template();
    let sweep = &template["Resources"]["Sweep"]["Properties"];
    assert_eq!(text(&sweep["Events"]["EveryMinute"]["Properties"]["Schedule"]), "rate(1 minute)");
    let minute = Duration::from_secs(60);
    assert!(time_out(&template, "Sweep") <= minute);
    assert_eq!(time_out(&template, "Sweep"), StackConfig::default().sweep_timeout, "the tests use another timeout");
    assert!(seconds(&sweep["EventInvokeConfig"]["MaximumEventAgeInSeconds"]) <= minute, "a late run is useless");
}

/// The alarm watches the runs of the sweep, so there must be runs when it is created.
#[test]
fn the_alarm_for_silence_is_made_when_the_sweep_is_called() {
    let template = template();
    assert!(template["Resources"]["Sweep"]["Properties"]["Events"]["EveryMinute"].is_object());
    // SAM's name for the permission that lets the rule call the function. SAM creates it after both.
    assert_eq!(template["Resources"]["SweepSilentAlarm"]["DependsOn"], "SweepEveryMinutePermission");
}
