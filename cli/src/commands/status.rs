//! `status`: on one screen, how the deployment is.

use std::time::Duration;

use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{StateValue, Statistic},
};
use aws_sdk_sqs::types::QueueAttributeName;
use job::time::Timestamp;
use pipeline::store::{Listed, Store};
use serde::Serialize;

use super::pause::{Switches, switches};
use crate::{
    error::CliError,
    output::{Output, plain},
    runbook,
    stack::Stack,
};

/// Counts stop here: they say whether there is a problem, and totals come from the metrics.
const MOST_COUNTED: u16 = 1_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A part of the screen. A part that cannot be read does not hide the others.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Part<T> {
    Read(T),
    Skipped { skip: String },
}

#[derive(Debug, Serialize)]
struct Alarm {
    name: String,
    since: Option<String>,
    /// The first sentence of the runbook.
    means: Option<String>,
}

#[derive(Debug, Serialize)]
struct Jobs {
    /// A number, or `1,000+`.
    in_progress: String,
    overdue: String,
    need_attention: String,
    oldest_unfinished_done_at: Option<String>,
    #[serde(skip)]
    oldest: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Queues {
    waiting: i64,
    delayed: i64,
    in_flight: i64,
    dead_letters: i64,
}

#[derive(Debug, Serialize)]
struct Status<'a> {
    stack: &'a str,
    region: &'a str,
    version: Option<&'a str>,
    switches: Part<Switches>,
    alarms: Part<Vec<Alarm>>,
    jobs: Part<Jobs>,
    queues: Part<Queues>,
    /// Transcripts that were paid for since midnight, UTC.
    paid_today: Part<f64>,
    /// Recordings that were reported in the last 24 hours as about to expire.
    expiring: Part<f64>,
}

pub(crate) async fn run(stack: &Stack, output: &Output) -> Result<(), CliError> {
    let now = output.times.now;
    let midnight = Timestamp::from_secs(now.as_millis().div_euclid(86_400_000) * 86_400);
    let (switches, alarms, jobs, queues, paid_today, expiring) = tokio::join!(
        switches(stack),
        alarms(stack),
        jobs(stack, now),
        queues(stack),
        sum(stack, "TranscriptsPaid", midnight, now),
        sum(stack, "RecordingsExpiring", now.minus(DAY), now),
    );
    let status = Status {
        stack: &stack.name,
        region: stack.region(),
        version: stack.version(),
        switches: part(switches),
        alarms: part(alarms),
        jobs: part(jobs),
        queues: part(queues),
        paid_today: part(paid_today),
        expiring: part(expiring),
    };
    if output.json {
        output.object(&status);
    } else {
        output.text(&in_words(&status, output));
    }
    Ok(())
}

fn part<T>(result: Result<T, CliError>) -> Part<T> {
    match result {
        Ok(value) => Part::Read(value),
        Err(error) if error.is_not_available_locally() => Part::Skipped { skip: "not available locally".to_owned() },
        Err(error) => Part::Skipped { skip: error.message },
    }
}

async fn alarms(stack: &Stack) -> Result<Vec<Alarm>, CliError> {
    let client = aws_sdk_cloudwatch::Client::new(&stack.config);
    let prefix = format!("{}-", stack.name);
    let described = client.describe_alarms().alarm_name_prefix(&prefix).state_value(StateValue::Alarm).send().await;
    let described = described.map_err(|error| CliError::aws("DescribeAlarms", &error))?;
    let alarm = |alarm: aws_sdk_cloudwatch::types::MetricAlarm| {
        let name = alarm.alarm_name?;
        let name = name.strip_prefix(&prefix).unwrap_or(&name).to_owned();
        let since = alarm.state_updated_timestamp.and_then(|at| at.to_millis().ok()).map(Timestamp::from_millis);
        Some(Alarm { means: runbook::meaning(&name), since: since.map(Timestamp::rfc3339), name })
    };
    Ok(described.metric_alarms.unwrap_or_default().into_iter().filter_map(alarm).collect())
}

async fn jobs(stack: &Stack, now: Timestamp) -> Result<Jobs, CliError> {
    let store: Store = stack.store()?;
    let (open, due, attention, oldest) = tokio::join!(
        store.count(Listed::Open, MOST_COUNTED),
        store.count(Listed::Due(now), MOST_COUNTED),
        store.count(Listed::Attention, MOST_COUNTED),
        store.oldest_unfinished(),
    );
    let oldest = oldest?;
    Ok(Jobs {
        in_progress: counted(open?),
        overdue: counted(due?),
        need_attention: counted(attention?),
        oldest_unfinished_done_at: oldest.map(Timestamp::rfc3339),
        oldest,
    })
}

fn counted(count: usize) -> String {
    if count >= usize::from(MOST_COUNTED) { "1,000+".to_owned() } else { count.to_string() }
}

async fn queues(stack: &Stack) -> Result<Queues, CliError> {
    let client = aws_sdk_sqs::Client::new(&stack.config);
    let attributes = async |url: &str| {
        let get = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All).send().await;
        let attributes = get.map_err(|error| CliError::aws("GetQueueAttributes", &error))?.attributes;
        let attributes = attributes.unwrap_or_default();
        let number = |name| attributes.get(&name).and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
        Ok::<_, CliError>([
            number(QueueAttributeName::ApproximateNumberOfMessages),
            number(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
            number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        ])
    };
    let [waiting, delayed, in_flight] = attributes(stack.output("WorkQueueUrl")?).await?;
    let [dead, _, taken] = attributes(stack.output("DeadLetterQueueUrl")?).await?;
    Ok(Queues { waiting, delayed, in_flight, dead_letters: dead + taken })
}

/// Returns the sum of a metric of the stack.
async fn sum(stack: &Stack, name: &str, from: Timestamp, to: Timestamp) -> Result<f64, CliError> {
    let client = aws_sdk_cloudwatch::Client::new(&stack.config);
    let time = |at: Timestamp| DateTime::from_millis(at.as_millis());
    let statistics = client
        .get_metric_statistics()
        .namespace(format!("RecallTranscripts/{}", stack.name))
        .metric_name(name)
        .start_time(time(from))
        .end_time(time(to))
        .period(86_400)
        .statistics(Statistic::Sum)
        .send()
        .await;
    let statistics = statistics.map_err(|error| CliError::aws("GetMetricStatistics", &error))?;
    Ok(statistics.datapoints().iter().filter_map(|point| point.sum()).sum())
}

fn in_words(status: &Status<'_>, output: &Output) -> String {
    let mut lines =
        vec![format!("{} in {}, version {}", status.stack, status.region, status.version.unwrap_or("unknown"))];
    let mut line = |name: &str, text: String| lines.push(format!("{name:<16}  {text}"));
    line("state", words(&status.switches, |switches| switches.in_words().to_owned()));
    match &status.alarms {
        Part::Read(alarms) if alarms.is_empty() => line("alarms", "none is firing".to_owned()),
        Part::Read(alarms) => {
            for (index, alarm) in alarms.iter().enumerate() {
                let means = alarm.means.as_deref().unwrap_or("The runbook does not have this alarm.");
                line(if index == 0 { "alarms" } else { "" }, format!("{}: {means}", plain(&alarm.name)));
            }
        }
        Part::Skipped { skip } => line("alarms", format!("skip: {skip}")),
    }
    line(
        "jobs",
        words(&status.jobs, |jobs| {
            let Jobs { in_progress, overdue, need_attention, .. } = jobs;
            format!("{in_progress} in progress, {overdue} overdue, {need_attention} in need of attention")
        }),
    );
    if let Part::Read(Jobs { oldest: Some(oldest), .. }) = &status.jobs {
        line("oldest", format!("an unfinished job whose recording was done {}", output.times.show(*oldest)));
    }
    line(
        "queue",
        words(&status.queues, |queues| {
            let Queues { waiting, delayed, in_flight, .. } = queues;
            format!("{waiting} waiting, {delayed} delayed, {in_flight} being handled")
        }),
    );
    line("dead letters", words(&status.queues, |queues| queues.dead_letters.to_string()));
    line("about to expire", words(&status.expiring, |count| format!("{count} recordings, reported within a day")));
    line("paid today", words(&status.paid_today, |count| format!("{count} transcripts since midnight, UTC")));
    if matches!(&status.jobs, Part::Read(jobs) if jobs.need_attention != "0") {
        lines.push("see them with: recall-transcripts jobs".to_owned());
    }
    lines.join("\n")
}

fn words<T>(part: &Part<T>, words: impl FnOnce(&T) -> String) -> String {
    match part {
        Part::Read(value) => words(value),
        Part::Skipped { skip } => format!("skip: {skip}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_only_up_to_the_limit() {
        assert_eq!([0, 999, 1_000, 8_000].map(counted), ["0", "999", "1,000+", "1,000+"]);
    }
}
