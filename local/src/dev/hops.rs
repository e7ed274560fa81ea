//! The hops of a meeting through the pipeline, each with the time it came at and how long it took.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{LOOK_EVERY, say};
use crate::{
    stack::Stack,
    wire::{Call, Service},
};

/// The column of what happens, in characters; a row then fits into a terminal of 80.
const COLUMN: usize = 52;
/// A call that is not answered by then no longer keeps back those that began after it.
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

    /// Prints what is new.
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

    /// Prints what is left, for which answers that are just being sent are waited for.
    pub(super) async fn show_all(&mut self) {
        let patience_ends = Instant::now() + PATIENCE;
        self.show();
        while self.news.next < self.stack.wire.calls().len() && Instant::now() < patience_ends {
            tokio::time::sleep(LOOK_EVERY).await;
            self.show();
        }
    }
}

/// Which calls are still to be told of, by their place in the list of all.
struct News {
    next: usize,
    /// Told of as not answered yet, and once more when they are.
    overdue: Vec<usize>,
}

impl News {
    /// The calls to tell of now, in the order in which they began; before them those whose answer came late.
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

/// The text in exactly so many characters: filled up, or cut with an ellipsis at the end.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:<width$}");
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// The hop in words; `None` for the many small calls in between. `event` is what a delivery of Recall's is about.
fn describe(call: &Call, event: Option<&str>) -> Option<String> {
    let operation = call.operation.as_str();
    let (method, path) = operation.split_once(' ').unwrap_or((operation, ""));
    let file = path.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let what = match (call.service, method) {
        (Service::Webhook, _) => match event {
            Some(event) => format!("Recall ► webhook       {event}, signed"),
            None => format!("somebody ► webhook     {operation}"),
        },
        (Service::Recall, "POST") if path.ends_with("/create_transcript/") => {
            "webhook ► Recall       create_transcript".to_owned()
        }
        (Service::Recall, "GET") if path.contains("/transcript/") => {
            "transcript ► Recall    retrieve, for a fresh URL".to_owned()
        }
        (Service::Sqs, "SendMessage") => "webhook ► queue        the event".to_owned(),
        (Service::DynamoDb, "PutItem") => "function ► table       the job, one version on".to_owned(),
        (Service::Download, "GET") => "transcript ► Recall    download".to_owned(),
        (Service::S3, "PUT") if file.ends_with(".jsonl") => "transcript ► bucket    turns, one a line".to_owned(),
        (Service::S3, "PUT") => format!("transcript ► bucket    {file}"),
        (Service::EventBridge, "PutEvents") => "transcript ► bus       the news".to_owned(),
        (_, _) => return None,
    };
    Some(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call that began after so many milliseconds.
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
        let long = format!("PUT /transcripts/turns/{}.json", "long-".repeat(30));
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
        // What is never shown never keeps anything back.
        let small = [calls[0].clone(), calls[1].clone(), call(begun, 2, "HEAD /", None)];
        assert_eq!(told(&mut news, &small, begun), ["HEAD /"]);
    }
}
