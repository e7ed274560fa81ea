//! The hops of a meeting through the pipeline, each with its time and duration.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{LOOK_EVERY, say};
use crate::{
    stack::Stack,
    wire::{Call, Service},
};

/// The width of the description in characters. A row then fits into a terminal of 80 columns.
const COLUMN: usize = 52;
/// How long a call without an answer delays the calls that began after it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Follows the calls that the stand-ins receive.
pub(super) struct Hops<'a> {
    stack: &'a Stack,
    begun: Instant,
    news: News,
}

impl<'a> Hops<'a> {
    pub(super) fn new(stack: &'a Stack) -> Self {
        let news = News { next: stack.wire.calls().len(), overdue: Vec::new() };
        Self { stack, begun: Instant::now(), news }
    }

    /// Prints the new calls.
    pub(super) fn show(&mut self) {
        let calls = self.stack.wire.calls();
        let messages = self.stack.simulator.as_ref().map(|simulator| simulator.messages()).unwrap_or_default();
        let events: BTreeMap<String, String> = messages.into_iter().map(|one| (one.id, one.event)).collect();
        for call in self.news.take(&calls, Instant::now()) {
            let event = call.delivery_id.as_ref().and_then(|id| events.get(id));
            if let Some(what) = describe(call, event.map(String::as_str)) {
                say(row(self.begun, &what, call));
            }
        }
    }

    /// Prints the remaining calls, after a moment for answers that are just being sent.
    pub(super) async fn show_all(&mut self) {
        let patience_ends = Instant::now() + PATIENCE;
        self.show();
        while self.news.next < self.stack.wire.calls().len() && Instant::now() < patience_ends {
            tokio::time::sleep(LOOK_EVERY).await;
            self.show();
        }
    }
}

/// The calls that have not been shown, by their place in the list of all calls.
struct News {
    next: usize,
    /// Calls that were shown without an answer, and are shown again with it.
    overdue: Vec<usize>,
}

impl News {
    /// Returns the calls to show now: first those whose answer came late, then the others in the order in which they
    /// began.
    fn take<'c>(&mut self, calls: &'c [Call], now: Instant) -> Vec<&'c Call> {
        let answered = |index: &usize| calls.get(*index).filter(|call| call.status.is_some());
        let mut news: Vec<&Call> = self.overdue.iter().filter_map(answered).collect();
        self.overdue.retain(|index| answered(index).is_none());
        while let Some(call) = calls.get(self.next) {
            if call.status.is_none() && describe(call, None).is_some() {
                if now.saturating_duration_since(call.began) < PATIENCE {
                    break;
                }
                self.overdue.push(self.next);
            }
            news.push(call);
            self.next += 1;
        }
        news
    }
}

fn row(begun: Instant, what: &str, call: &Call) -> String {
    let at = call.began.saturating_duration_since(begun).as_secs_f64();
    let what = fit(what, COLUMN);
    match (call.status, call.took) {
        (Some(status), took) => {
            let took = took.unwrap_or_default().as_secs_f64() * 1000.0;
            format!("  {at:7.3} s  {what} {status}  {took:6.1} ms")
        }
        (None, _) => format!("  {at:7.3} s  {what}   –  no answer"),
    }
}

/// Returns the text in exactly this many characters: padded, or cut with an ellipsis at the end.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:<width$}");
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Describes the hop in words. Returns `None` for the many small calls in between. `event` is the event of a delivery
/// by Recall.
fn describe(call: &Call, event: Option<&str>) -> Option<String> {
    let operation = call.operation.as_str();
    let (method, path) = operation.split_once(' ').unwrap_or((operation, ""));
    let file = path.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let what = match (call.service, method) {
        (Service::Webhook, _) => match event {
            Some(event) => format!("Recall ► webhook       {event}, signed"),
            None => format!("unknown ► webhook      {operation}"),
        },
        (Service::Recall, "POST") if path.ends_with("/create_transcript/") => {
            "webhook ► Recall       create_transcript".to_owned()
        }
        (Service::Recall, "GET") if path.contains("/transcript/") => {
            "transcript ► Recall    get a download URL".to_owned()
        }
        (Service::Sqs, "SendMessage") => "webhook ► queue        enqueue the event".to_owned(),
        (Service::DynamoDb, "PutItem") => "function ► table       save the job".to_owned(),
        (Service::Recall, "GET") if path.contains("/bot/") => "transcript ► Recall    get the bot".to_owned(),
        (Service::Download, "GET") => format!("transcript ► Recall    download {file}"),
        (Service::S3, "PUT") if path.contains("/meetings/") => "transcript ► bucket    meetings.jsonl".to_owned(),
        (Service::S3, "PUT") if path.contains("/turns/") => "transcript ► bucket    turns.jsonl".to_owned(),
        (Service::S3, "PUT") if path.contains("/knowledge/") => {
            let kind = if file.ends_with(".json") { "knowledge metadata" } else { "knowledge document" };
            format!("transcript ► bucket    {kind}")
        }
        (Service::S3, "PUT") => format!("transcript ► bucket    {file}"),
        (Service::EventBridge, "PutEvents") => "transcript ► bus       announce the result".to_owned(),
        (_, _) => return None,
    };
    Some(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a call that began after this many milliseconds.
    fn call(begun: Instant, at_ms: u64, operation: &str, status: Option<u16>) -> Call {
        Call {
            service: Service::S3,
            operation: operation.to_owned(),
            delivery_id: None,
            status,
            began: begun + Duration::from_millis(at_ms),
            took: status.map(|_| Duration::from_micros(1_234)),
        }
    }

    fn told<'c>(news: &mut News, calls: &'c [Call], now: Instant) -> Vec<&'c str> {
        news.take(calls, now).iter().map(|call| call.operation.as_str()).collect()
    }

    #[test]
    fn a_row_keeps_its_columns() {
        let begun = Instant::now();
        let long = format!("PUT /transcripts/recordings/{}.json", "long-".repeat(30));
        let event = format!("transcript.{}", "ü".repeat(100));
        let rows = [
            (call(begun, 5, "PUT /transcripts/manifest.json", Some(200)), None),
            (call(begun, 5, &long, Some(503)), None),
            (Call { service: Service::Webhook, ..call(begun, 5, "POST /", Some(200)) }, Some(event.as_str())),
            (Call { service: Service::Webhook, ..call(begun, 5, &long, Some(401)) }, None),
            (call(begun, 5, &long, None), None),
        ];
        let rows = rows.map(|(call, event)| row(begun, &describe(&call, event).expect("a hop"), &call));
        assert_eq!(rows[0], "    0.005 s  transcript ► bucket    manifest.json                 200     1.2 ms");
        assert_eq!(rows[1], "    0.005 s  transcript ► bucket    long-long-long-long-long-lon… 503     1.2 ms");
        for row in &rows {
            assert_eq!(row.chars().count(), 80, "{row}");
        }
    }

    #[test]
    fn calls_are_shown_in_the_order_they_began() {
        let begun = Instant::now();
        let mut news = News { next: 0, overdue: Vec::new() };
        let mut calls = [call(begun, 0, "PUT /first", None), call(begun, 1, "PUT /second", Some(200))];
        assert!(told(&mut news, &calls, begun).is_empty());
        calls[0].status = Some(200);
        assert_eq!(told(&mut news, &calls, begun), ["PUT /first", "PUT /second"]);
        assert!(told(&mut news, &calls, begun).is_empty());
    }

    #[test]
    fn an_unanswered_call_delays_the_others_briefly() {
        let begun = Instant::now();
        let mut news = News { next: 0, overdue: Vec::new() };
        let mut calls = [call(begun, 0, "PUT /late", None), call(begun, 1, "PUT /second", Some(200))];
        assert_eq!(told(&mut news, &calls, begun + PATIENCE), ["PUT /late", "PUT /second"]);
        assert!(told(&mut news, &calls, begun + 9 * PATIENCE).is_empty());
        calls[0].status = Some(200);
        assert_eq!(told(&mut news, &calls, begun + 9 * PATIENCE), ["PUT /late"]);
        assert!(told(&mut news, &calls, begun + 9 * PATIENCE).is_empty());
        // A call that is never shown delays nothing.
        let small = [calls[0].clone(), calls[1].clone(), call(begun, 2, "HEAD /", None)];
        assert_eq!(told(&mut news, &small, begun), ["HEAD /"]);
    }
}
