//! The hops of a meeting through the pipeline, each with the time it came at and how long it took.
#![allow(clippy::print_stdout, reason = "it talks to a person")]

use tokio::time::Instant;

use crate::{
    stack::Stack,
    wire::{Call, Service},
};

/// Follows the calls that the stand-ins receive.
pub(super) struct Hops<'a> {
    stack: &'a Stack,
    begun: Instant,
    /// Calls before this one are shown, or not worth it.
    shown: usize,
    /// As many of them were webhooks.
    webhooks: usize,
}

impl<'a> Hops<'a> {
    pub(super) fn new(stack: &'a Stack) -> Self {
        let shown = stack.wire.calls();
        let webhooks = shown.iter().filter(|call| call.service == Service::Webhook).count();
        Self { stack, begun: Instant::now(), shown: shown.len(), webhooks }
    }

    /// Prints what is new and answered, in the order in which it began.
    pub(super) fn show(&mut self) {
        for call in self.stack.wire.calls().into_iter().skip(self.shown) {
            let Some(status) = call.status else { return };
            let what = if call.service == Service::Webhook {
                let Some(event) = self.event(self.webhooks) else { return };
                self.webhooks += 1;
                Some(format!("Recall ► webhook       {event}, signed"))
            } else {
                describe(&call)
            };
            self.shown += 1;
            if let Some(what) = what {
                let at = call.began.saturating_duration_since(self.begun).as_secs_f64();
                let took = call.took.unwrap_or_default().as_secs_f64() * 1000.0;
                println!("  {at:7.3} s  {what:<50} {status}  {took:6.1} ms");
            }
        }
    }

    /// What the delivery of this number was about; `None` until the simulator has noted it.
    fn event(&self, number: usize) -> Option<String> {
        let mut deliveries = self.stack.simulator.as_ref()?.deliveries();
        deliveries.sort_by_key(|delivery| delivery.at);
        deliveries.get(number).map(|delivery| delivery.event.clone())
    }
}

/// The hop in words; `None` for the many small calls in between.
fn describe(call: &Call) -> Option<String> {
    let operation = call.operation.as_str();
    let (method, path) = operation.split_once(' ').unwrap_or((operation, ""));
    let file = path.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let what = match (call.service, method) {
        (Service::Recall, "POST") if path.ends_with("/create_transcript/") => {
            "webhook ► Recall       create_transcript".to_owned()
        }
        (Service::Recall, "GET") if path.contains("/transcript/") => {
            "transcript ► Recall    retrieve, for a fresh URL".to_owned()
        }
        (Service::Sqs, "SendMessage") => "webhook ► queue        the event".to_owned(),
        (Service::DynamoDb, "PutItem") => "function ► table       the job, one version on".to_owned(),
        (Service::Download, "GET") => "transcript ► Recall    download".to_owned(),
        (Service::S3, "PUT") => format!("transcript ► bucket    {file}"),
        (_, _) => return None,
    };
    Some(what)
}
