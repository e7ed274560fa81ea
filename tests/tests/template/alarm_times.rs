//! When each alarm fires and clears, according to the model in `cloudwatch.rs`. `UPDATE_EXPECT=1` writes
//! alarm_times.txt.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::expect_file;
use serde_json::Value;

use crate::{
    alarm_stories::{Story, stories},
    cloudwatch::{Alarm, Assumptions, Expression, MissingData, State},
    resources, template, text,
};

/// The assumptions of the snapshot: two further periods, as in AWS's examples.
const ASSUMED: Assumptions = Assumptions { further_periods: 2, fills_nothing: true, late_min: 0, phase_min: 0 };

/// The alarms by the ends of their names, with the parameters' defaults.
fn alarms(template: &Value) -> BTreeMap<String, Alarm> {
    let number = |value: &Value| match value.get("Ref") {
        Some(parameter) => template["Parameters"][text(parameter)]["Default"].as_f64(),
        None => value.as_f64(),
    };
    let number = |value: &Value| number(value).unwrap_or_else(|| panic!("{value} is not a number"));
    let name = |alarm: &Value| text(&alarm["AlarmName"]["Fn::Sub"]).replace("${AWS::StackName}-", "");
    let alarms = resources(template, "AWS::CloudWatch::Alarm");
    alarms.map(|(_, alarm)| (name(alarm), Alarm::read(alarm, &number))).collect()
}

/// Returns when the alarm is on. An interval has no end if the alarm is on at the end of the story.
type Times = Vec<(i64, Option<i64>)>;

fn times(alarm: &Alarm, story: &Story, assumed: Assumptions) -> Times {
    let unknown: Vec<_> = story.samples.keys().filter(|id| !alarm.metrics().any(|known| known == *id)).collect();
    assert!(unknown.is_empty(), "{}: {} has no {unknown:?}", story.alarm, story.what);
    let mut times: Times = Vec::new();
    for (minute, state) in alarm.states(&story.samples, story.minutes, assumed) {
        let open = times.last_mut().filter(|(_, end)| end.is_none());
        match (state, open) {
            (State::Alarm, None) => times.push((minute, None)),
            (State::Ok | State::InsufficientData, Some((_, end))) => *end = Some(minute),
            (State::Alarm, Some(_)) | (State::Ok | State::InsufficientData, None) => {}
        }
    }
    times
}

/// If the clock decides, a story may begin at any minute of a period.
fn at_every_phase(alarm: &Alarm, story: &Story, assumed: Assumptions) -> Vec<Times> {
    let phases = if alarm.by_the_clock { alarm.period_min } else { 1 };
    (0..phases).map(|phase_min| times(alarm, story, Assumptions { phase_min, ..assumed })).collect()
}

fn clock(minute: i64) -> String {
    format!("{}:{:02}", minute.div_euclid(60), minute.rem_euclid(60))
}

/// Returns the earliest and the latest of some times.
fn moments(all: impl Iterator<Item = i64> + Clone) -> String {
    let (earliest, latest) = (all.clone().min().expect("one"), all.max().expect("one"));
    if earliest == latest { clock(earliest) } else { format!("{}-{}", clock(earliest), clock(latest)) }
}

fn shown(phases: &[Times]) -> String {
    let fired: Vec<(i64, Option<i64>)> = phases.iter().flatten().copied().collect();
    if fired.is_empty() {
        return "never".to_owned();
    }
    let begin = moments(fired.iter().map(|(begin, _)| *begin));
    let times = match fired.iter().map(|(_, end)| *end).collect::<Option<Vec<i64>>>() {
        Some(ends) => format!("{begin} to {}", moments(ends.into_iter())),
        None => format!("from {begin} on"),
    };
    if phases.iter().all(|times| !times.is_empty()) { times } else { format!("never or {times}, by the clock") }
}

#[test]
fn alarms_fire_and_clear_at_the_times_in_the_table() {
    let template = template();
    let alarms = alarms(&template);
    let told: BTreeSet<&str> = stories().iter().map(|story| story.alarm).collect();
    assert_eq!(told, alarms.keys().map(String::as_str).collect(), "every alarm has its stories");
    let mut lines = String::new();
    for (name, alarm) in &alarms {
        lines.push_str(&format!("{name}\n"));
        let mut all = Vec::new();
        for story in stories().iter().filter(|story| story.alarm == name) {
            let phases = at_every_phase(alarm, story, ASSUMED);
            lines.push_str(&format!("  {}: {}\n", story.what, shown(&phases)));
            assert!(phases.iter().all(|times| times.len() <= 1), "{name}: {} fires twice: {phases:?}", story.what);
            all.extend(phases.into_iter().flatten());
        }
        assert!(!all.is_empty(), "no story makes {name} fire");
        assert!(all.iter().any(|(_, end)| end.is_some()), "in no story does {name} clear");
    }
    expect_file!["alarm_times.txt"].assert_eq(&lines);
}

/// AWS may change what it does not document, so that must not decide whether an operator is called at night.
#[test]
fn alarms_do_not_depend_on_assumptions() {
    let template = template();
    let alarms = alarms(&template);
    let mut problems = Vec::new();
    for story in stories() {
        let alarm = &alarms[story.alarm];
        let expected = times(alarm, &story, ASSUMED);
        for further_periods in [0, 1, 8] {
            for fills_nothing in [true, false] {
                let assumed = Assumptions { further_periods, fills_nothing, ..ASSUMED };
                let found = times(alarm, &story, assumed);
                if found != expected {
                    problems.push(format!("{}: {}: {}, {assumed:?}", story.alarm, story.what, shown(&[found])));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Metrics arrive some minutes late. An alarm may fire and clear later by that time, but not otherwise.
#[test]
fn a_late_metric_makes_an_alarm_late_and_nothing_else() {
    let template = template();
    let alarms = alarms(&template);
    for story in stories().iter().filter(|story| !story.is_about_time) {
        let alarm = &alarms[story.alarm];
        let expected = times(alarm, story, ASSUMED);
        let all = |times: &Times| -> Vec<i64> {
            times.iter().flat_map(|(begin, end)| [Some(*begin), *end]).flatten().collect()
        };
        for late_min in 1..=3 {
            let found = times(alarm, story, Assumptions { late_min, ..ASSUMED });
            let story =
                format!("{}: {}: {}, {late_min} late", story.alarm, story.what, shown(std::slice::from_ref(&found)));
            assert_eq!(found.len(), expected.len(), "{story}");
            let late = all(&found).into_iter().zip(all(&expected)).map(|(found, expected)| found - expected);
            assert!(late.into_iter().all(|late| (0..=late_min).contains(&late)), "{story}");
        }
    }
}

/// Over gaps, CloudWatch looks at more periods than an alarm says. Two kinds of metrics have no gaps: those that the
/// sweep reports in every run, and those that SQS reports while the queue has messages.
#[test]
fn metrics_with_gaps_are_filled() {
    let template = template();
    let plain: Vec<(String, MissingData)> = alarms(&template)
        .into_iter()
        .filter(|(_, alarm)| !alarm.compared.is_filled())
        .map(|(name, alarm)| (name, alarm.missing))
        .collect();
    let expected = [
        ("dead-letters", MissingData::NotBreaching),
        ("oldest-unfinished", MissingData::Ignore),
        ("workers-behind", MissingData::Ignore),
    ];
    assert_eq!(plain, expected.map(|(name, missing)| (name.to_owned(), missing)));
}

/// The model finds the faults that these alarms once had. If the gaps are left to CloudWatch, silence is noticed only
/// after 25 minutes, and one hour with too many transcripts fires on three days.
#[test]
fn alarms_without_fill_are_late_and_repeat() {
    let template = template();
    let unfilled = |name: &str, what: &str| {
        let mut alarm = alarms(&template)[name].clone();
        alarm.compared = Expression::read("seen");
        times(&alarm, &story(name, what), ASSUMED)
    };
    assert_eq!(unfilled("sweep-silent", "the last run is at 0:00"), [(25, None)]);
    assert_eq!(unfilled("paid-per-day", "1,500 within an hour").len(), 3);
}

/// If the periods move every minute, a short incident is in two of them.
#[test]
fn alarms_without_the_clock_fire_for_one_incident_and_repeat_for_two() {
    let template = template();
    let sliding = |name: &str, datapoints: usize, what: &str| {
        let mut alarm = alarms(&template)[name].clone();
        (alarm.by_the_clock, alarm.datapoints) = (false, datapoints);
        times(&alarm, &story(name, what), ASSUMED).len()
    };
    assert!(sliding("webhooks-missed", 2, "eight recordings within four minutes") > 0);
    assert!(sliding("slow", 2, "ten transcripts within ten minutes, and no other") > 0);
    assert!(sliding("webhooks-missed", 3, "four minutes, and four minutes six hours later") > 10);
    assert!(sliding("errors", 3, "the transcript function alone, ten minutes, while no other runs") > 5);
}

fn story(alarm: &str, what: &str) -> Story {
    stories().into_iter().find(|story| (story.alarm, story.what) == (alarm, what)).expect("a story")
}
