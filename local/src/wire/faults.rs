//! What goes wrong with calls: one fault after the other as a test asks for them, or by the fall of dice.
//!
//! A fault that was asked for and never struck shows nothing: [`Wire::unstruck`] names those.
//!
//! [`Wire::unstruck`]: super::Wire::unstruck

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::sync::watch;

use super::{Service, lock};

/// What happens to a call.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// This status, with `Retry-After` in seconds where given, and an empty JSON object.
    Answer { status: u16, retry_after: Option<u32> },
    /// This status and a page of HTML, as from a firewall or from another server.
    Html { status: u16 },
    /// The connection closes without an answer.
    Drop,
    /// The call hangs until the caller goes away.
    Hold,
    /// The call goes on after this time.
    Delay(Duration),
    /// The call goes on, and it is the last one: whatever any function asks for next hangs, until [`Wire::go_on`].
    /// That next call counts as a second hit, so whoever sees it knows that the last answer has arrived.
    ///
    /// [`Wire::go_on`]: super::Wire::go_on
    Last,
}

/// On which side of its effect a call is disturbed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum When {
    /// The service does not see the call.
    Before,
    /// The service has done what was asked; only the answer is touched.
    After,
}

/// Tells when an injected fault struck.
#[derive(Debug)]
pub struct Hits {
    hits: watch::Receiver<usize>,
    optional: Arc<AtomicBool>,
}

impl Hits {
    /// Waits until the fault has struck `n` times.
    pub async fn reach(&mut self, n: usize) -> Result<()> {
        self.hits.wait_for(|hits| *hits >= n).await.context("the fault was removed")?;
        Ok(())
    }

    /// How often the fault has struck so far.
    pub fn count(&self) -> usize {
        *self.hits.borrow()
    }

    /// The test is as good if the fault does not strike, or not as often, for this reason.
    pub fn optional(self, reason: &str) -> Self {
        assert!(!reason.is_empty(), "say why the fault need not strike");
        self.optional.store(true, Ordering::Relaxed);
        self
    }
}

pub(super) type Dice = Box<dyn FnMut(Service, &str, When) -> Option<Fault> + Send>;

/// The faults that wait for their calls.
#[derive(Default)]
pub(super) struct Faults(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    rules: Vec<Rule>,
    /// The last call was answered; counts what hangs since.
    stopped: Option<watch::Sender<usize>>,
    dice: Option<Dice>,
    /// What was ended without having struck.
    unstruck: Vec<String>,
}

struct Rule {
    service: Service,
    operation: String,
    when: When,
    fault: Fault,
    /// [`usize::MAX`]: whenever there is such a call, and at least once.
    times: usize,
    left: usize,
    hits: watch::Sender<usize>,
    optional: Arc<AtomicBool>,
}

impl Rule {
    /// It struck fewer times than was asked for.
    fn is_unstruck(&self) -> bool {
        let missing = if self.times == usize::MAX { self.left == self.times } else { self.left > 0 };
        missing && !self.optional.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, operation, when, fault, times, left, .. } = self;
        write!(f, "{fault:?} {when:?} {service:?} `{operation}`: ")?;
        match times {
            &usize::MAX => f.write_str("never, and it was to strike always"),
            times => write!(f, "{} of {times} times", times - left),
        }
    }
}

impl Faults {
    pub(super) fn add(&self, service: Service, operation: &str, when: When, fault: Fault, times: usize) -> Hits {
        let (hits, receiver) = watch::channel(0);
        let (operation, optional) = (operation.to_owned(), Arc::new(AtomicBool::new(false)));
        let rule = Rule { service, operation, when, fault, times, left: times, hits, optional: Arc::clone(&optional) };
        lock(&self.0).rules.push(rule);
        Hits { hits: receiver, optional }
    }

    pub(super) fn throw(&self, dice: Dice) {
        lock(&self.0).dice = Some(dice);
    }

    pub(super) fn go_on(&self) {
        lock(&self.0).stopped = None;
    }

    pub(super) fn calm(&self) {
        let unstruck = self.unstruck();
        *lock(&self.0) = Waiting { unstruck, ..Waiting::default() };
    }

    /// Faults that struck fewer times than was asked for, those that were ended included.
    pub(super) fn unstruck(&self) -> Vec<String> {
        let waiting = lock(&self.0);
        let now = waiting.rules.iter().filter(|rule| rule.is_unstruck()).map(Rule::to_string);
        waiting.unstruck.iter().cloned().chain(now).collect()
    }

    /// What happens to this call, if anything does. The oldest rule that fits comes first.
    pub(super) fn strike(&self, service: Service, operation: &str, when: When) -> Option<Fault> {
        let mut waiting = lock(&self.0);
        let Waiting { rules, stopped, dice, unstruck: _ } = &mut *waiting;
        // What comes in at the functions' URL is asked of a function, not by one.
        if let Some(hits) = stopped.as_ref().filter(|_| when == When::Before && service != Service::Webhook) {
            hits.send_modify(|hits| *hits += 1);
            return Some(Fault::Hold);
        }
        let rule = rules.iter_mut().find(|rule| {
            rule.left > 0 && rule.service == service && rule.when == when && operation.contains(&rule.operation)
        });
        let Some(rule) = rule else { return dice.as_mut().and_then(|dice| dice(service, operation, when)) };
        rule.left -= 1;
        rule.hits.send_modify(|hits| *hits += 1);
        if matches!(rule.fault, Fault::Last) {
            *stopped = Some(rule.hits.clone());
        }
        Some(rule.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unstruck_fault_is_named() {
        let faults = Faults::default();
        let add = |times| faults.add(Service::Sqs, "SendMessage", When::Before, Fault::Drop, times);
        let strike = || faults.strike(Service::Sqs, "SendMessageBatch", When::Before).is_some();
        drop(add(0));
        assert_eq!(faults.unstruck(), Vec::<String>::new());
        let twice = add(2);
        assert!(strike() && twice.count() == 1);
        assert_eq!(faults.unstruck(), ["Drop Before Sqs `SendMessage`: 1 of 2 times"]);
        assert!(strike() && faults.unstruck().is_empty());
        // Any number will do, but none.
        let always = add(usize::MAX);
        assert_eq!(faults.unstruck().len(), 1);
        assert!(strike() && always.count() == 1 && faults.unstruck().is_empty());
        faults.calm();
        drop(add(1).optional("it is only an example"));
        assert!(faults.unstruck().is_empty());
        // Who is ended without having struck is not forgotten.
        drop(add(1));
        faults.calm();
        assert_eq!((faults.unstruck().len(), strike()), (1, false));
    }
}
