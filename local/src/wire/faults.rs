//! The faults of calls: one after the other, as a test requests them, or at random.
//!
//! A requested fault that never struck proves nothing: [`Wire::unstruck`] returns those.
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
    /// Answers with this status, with `Retry-After` in seconds if given, and an empty JSON object.
    Answer { status: u16, retry_after: Option<u32> },
    /// Answers with this status and this code, in the XML of S3.
    S3Error { status: u16, code: &'static str },
    /// Answers with this status and a page of HTML, as a firewall or another server would.
    Html { status: u16 },
    /// Closes the connection without an answer.
    Drop,
    /// Lets the call hang until the caller is gone.
    Hold,
    /// Lets the call continue after this time.
    Delay(Duration),
    /// Lets the call continue as the last one: every later call of any function hangs until [`Wire::go_on`]. The next
    /// call counts as a second hit, which shows that the last answer has arrived.
    ///
    /// [`Wire::go_on`]: super::Wire::go_on
    Last,
}

/// The side of its effect on which a call is disturbed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum When {
    /// The service does not see the call.
    Before,
    /// The service has done what was requested, and only the answer is affected.
    After,
}

/// Reports when an injected fault struck.
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

    /// Returns how many times the fault has struck.
    pub fn count(&self) -> usize {
        *self.hits.borrow()
    }

    /// Declares that the test is valid even if the fault strikes fewer times, for this reason.
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
    /// Set when the last call was answered, and counts the calls that hang since.
    stopped: Option<watch::Sender<usize>>,
    dice: Option<Dice>,
    /// The faults that were ended before they struck often enough.
    unstruck: Vec<String>,
}

struct Rule {
    service: Service,
    operation: String,
    when: When,
    fault: Fault,
    /// [`usize::MAX`]: all such calls, and at least one.
    times: usize,
    left: usize,
    hits: watch::Sender<usize>,
    optional: Arc<AtomicBool>,
}

impl Rule {
    /// Returns whether the fault struck fewer times than requested.
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
            &usize::MAX => f.write_str("never, although it was to strike always"),
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

    /// Returns the faults that struck fewer times than requested, including those that were ended.
    pub(super) fn unstruck(&self) -> Vec<String> {
        let waiting = lock(&self.0);
        let now = waiting.rules.iter().filter(|rule| rule.is_unstruck()).map(Rule::to_string);
        waiting.unstruck.iter().cloned().chain(now).collect()
    }

    /// Decides what happens to this call. The oldest matching rule comes first.
    pub(super) fn strike(&self, service: Service, operation: &str, when: When) -> Option<Fault> {
        let mut waiting = lock(&self.0);
        let Waiting { rules, stopped, dice, unstruck: _ } = &mut *waiting;
        // A call to the functions' URL goes to a function, and is not made by one.
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
        // Any number of hits is enough, except none.
        let always = add(usize::MAX);
        assert_eq!(faults.unstruck().len(), 1);
        assert!(strike() && always.count() == 1 && faults.unstruck().is_empty());
        faults.calm();
        drop(add(1).optional("it is only an example"));
        assert!(faults.unstruck().is_empty());
        // A fault that was ended without having struck is still reported.
        drop(add(1));
        faults.calm();
        assert_eq!((faults.unstruck().len(), strike()), (1, false));
    }
}
