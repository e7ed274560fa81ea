//! Checks that every metric in the template is emitted under that name, with those dimensions, in that namespace, and
//! that docs/operating.md has all of them and a section for every alarm.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::metrics::{Description, Unit};
use regex_lite::Regex;
use serde_json::{Value, json};

use crate::{read, resources, sources, template, text};

const NAMESPACE: &str = "RecallTranscripts/${AWS::StackName}";
/// AWS's own metrics, by namespace: the existing ones, and their one dimension.
const OF_AWS: [(&str, &str, &[&str]); 2] = [
    (
        "AWS/Lambda",
        "FunctionName",
        &["ConcurrentExecutions", "Duration", "Errors", "Throttles", "UrlRequestCount", "Url4xxCount", "Url5xxCount"],
    ),
    (
        "AWS/SQS",
        "QueueName",
        &[
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
        ],
    ),
];

/// Returns every metric that the functions emit.
fn emitted() -> BTreeMap<&'static str, Description> {
    pipeline::metrics::ALL.iter().map(|metric| (metric.name, *metric)).collect()
}

/// One use of a metric: where it is used, its namespace, its name, and its dimensions with their values, if given.
#[derive(Debug)]
struct Look {
    who: String,
    namespace: String,
    name: String,
    dimensions: Vec<(String, Option<String>)>,
}

impl Look {
    /// Returns what is wrong with the use.
    fn problem(&self, emitted: &BTreeMap<&str, Description>, literals: &str) -> Option<String> {
        let names: Vec<&str> = self.dimensions.iter().map(|(name, _)| name.as_str()).collect();
        let who = &self.who;
        if let Some((_, dimension, known)) = OF_AWS.iter().find(|(namespace, _, _)| *namespace == self.namespace) {
            let right = known.contains(&self.name.as_str()) && names == [*dimension];
            return (!right).then(|| format!("{who}: {self:?}: AWS has no such metric"));
        }
        if self.namespace != NAMESPACE {
            return Some(format!("{who}: {self:?}: not our namespace"));
        }
        let Some(metric) = emitted.get(&*self.name) else {
            return Some(format!("{who}: {self:?}: no function emits it"));
        };
        if !names.is_empty() && names != metric.dimensions {
            return Some(format!("{who}: {self:?}: it is emitted with {:?}", metric.dimensions));
        }
        let unknown = |value: &String| !literals.contains(&format!("\"{value}\""));
        let values = self.dimensions.iter().filter_map(|(_, value)| value.as_ref());
        values.filter(|value| unknown(value)).map(|value| format!("{who}: {self:?}: the code has no `{value}`")).next()
    }
}

fn alarms(template: &Value) -> Vec<Look> {
    let mut looks = Vec::new();
    for (who, alarm) in resources(template, "AWS::CloudWatch::Alarm") {
        let stats = alarm["Metrics"].as_array().into_iter().flatten().filter(|part| part.get("MetricStat").is_some());
        let metrics: Vec<&Value> = match alarm.get("MetricName") {
            Some(_) => vec![alarm],
            None => stats.map(|part| &part["MetricStat"]["Metric"]).collect(),
        };
        assert!(!metrics.is_empty(), "{who} uses no metric");
        looks.extend(metrics.into_iter().map(|metric| of_alarm(who, metric)));
    }
    looks
}

fn of_alarm(who: &str, metric: &Value) -> Look {
    let namespace = &metric["Namespace"];
    let dimensions = metric["Dimensions"].as_array().into_iter().flatten();
    let value = |of: &Value| of["Value"].as_str().map(str::to_owned);
    Look {
        who: who.to_owned(),
        namespace: text(namespace.get("Fn::Sub").unwrap_or(namespace)).to_owned(),
        name: text(&metric["MetricName"]).to_owned(),
        dimensions: dimensions.map(|of| (text(&of["Name"]).to_owned(), value(of))).collect(),
    }
}

/// Returns the dashboard's body with its variables, which are short names for long texts.
fn dashboard(template: &Value) -> Value {
    let (_, dashboard) = resources(template, "AWS::CloudWatch::Dashboard").next().expect("a dashboard");
    let body = &dashboard["DashboardBody"]["Fn::Sub"];
    let own = text(&body[1]["Own"]["Fn::Sub"]);
    serde_json::from_str(&text(&body[0]).replace("${Own}", own)).expect("the dashboard's body is JSON")
}

fn widgets(template: &Value) -> Vec<Look> {
    let search =
        Regex::new(r#"^SEARCH\('\{"([^"]+)",([a-z_,]+)\} MetricName=(\w+)', '\w+', \d+\)$"#).expect("a pattern");
    let mut looks = Vec::new();
    for widget in dashboard(template)["widgets"].as_array().expect("widgets") {
        let who = text(&widget["properties"]["title"]);
        for metric in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            let parts = metric.as_array().expect("a metric is an array");
            if let Some(expression) = parts[0].get("expression") {
                let found = search.captures(text(expression)).unwrap_or_else(|| panic!("{who}: {expression}"));
                let dimensions = found[2].split(',').map(|name| (name.to_owned(), None)).collect();
                let (namespace, name) = (found[1].to_owned(), found[3].to_owned());
                looks.push(Look { who: who.to_owned(), namespace, name, dimensions });
                continue;
            }
            let words: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
            assert!(words.len() >= 2 && words.len().is_multiple_of(2), "{who}: {metric}");
            let pairs = words[2..].chunks(2).map(|pair| (pair[0].to_owned(), Some(pair[1].to_owned())));
            let (namespace, name) = (words[0].to_owned(), words[1].to_owned());
            looks.push(Look { who: who.to_owned(), namespace, name, dimensions: pairs.collect() });
        }
    }
    looks
}

#[test]
fn every_watched_metric_is_emitted() {
    let (template, emitted) = (template(), emitted());
    let namespace = &template["Globals"]["Function"]["Environment"]["Variables"]["METRICS_NAMESPACE"];
    assert_eq!(*namespace, json!({"Fn::Sub": NAMESPACE}));
    let literals: String =
        ["shared/pipeline/src", "functions/webhook/src", "functions/transcript/src", "functions/sweep/src"]
            .map(sources::of)
            .join("\n");
    let (alarms, widgets) = (alarms(&template), widgets(&template));
    assert!(alarms.len() >= 20 && widgets.len() >= 30, "only {} alarms and {} widgets", alarms.len(), widgets.len());
    let looks = alarms.iter().chain(&widgets);
    let problems: Vec<String> = looks.filter_map(|look| look.problem(&emitted, &literals)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Returns the metrics of an alarm, each with its statistic.
fn statistics(alarm: &Value) -> Vec<(&str, &str)> {
    let stats = alarm["Metrics"].as_array().into_iter().flatten().filter_map(|part| part.get("MetricStat"));
    let mut statistics: Vec<_> = stats.map(|stat| (text(&stat["Metric"]["MetricName"]), text(&stat["Stat"]))).collect();
    if let Some(name) = alarm.get("MetricName") {
        statistics.push((text(name), text(alarm.get("Statistic").unwrap_or(&alarm["ExtendedStatistic"]))));
    }
    statistics
}

/// CloudWatch takes percentiles and extremes of measurements, and sums of counts.
#[test]
fn counts_are_summed_and_measurements_are_not() {
    let (template, emitted) = (template(), emitted());
    let mut compared = 0;
    for (who, alarm) in resources(&template, "AWS::CloudWatch::Alarm") {
        for (name, statistic) in statistics(alarm) {
            let Some(metric) = emitted.get(name) else { continue };
            let counted = matches!(statistic, "Sum" | "SampleCount");
            assert_eq!(counted, metric.unit == Unit::Count, "{who}: {statistic} of {:?}", metric.unit);
            assert!(
                !alarm.to_string().contains("\"Unit\""),
                "{who}: with a unit, CloudWatch finds no data if the unit differs"
            );
            compared += 1;
        }
    }
    assert!(compared >= 15, "{compared}");
}

/// A gap in a metric that is emitted only sometimes must not raise an alarm. A gap in a metric that is emitted in every
/// run must not clear one.
#[test]
fn every_alarm_defines_missing_data_and_links_to_the_manual() {
    let template = template();
    let name = Regex::new(r"^\$\{AWS::StackName\}-([a-z-]+)$").expect("a pattern");
    let mut names = BTreeSet::new();
    for (who, alarm) in resources(&template, "AWS::CloudWatch::Alarm") {
        let missing = text(&alarm["TreatMissingData"]);
        let expected = match statistics(alarm)[0].0 {
            "OldestDueAge" | "OldestUnfinishedAge" => "ignore",
            "JobsDue" => "breaching",
            _ => "notBreaching",
        };
        assert_eq!(missing, expected, "{who}");
        let sub = text(&alarm["AlarmName"]["Fn::Sub"]);
        let name = name.captures(sub).unwrap_or_else(|| panic!("{who}: {sub}"))[1].to_owned();
        let pointer = format!("See docs/operating.md, \"{name}\".");
        assert!(text(&alarm["AlarmDescription"]).ends_with(&pointer), "{who} does not say {pointer}");
        let topic = json!([{"Fn::If": ["MakesTopic", {"Ref": "AlarmTopic"},
            {"Fn::If": ["HasTopic", {"Ref": "AlarmTopicArn"}, {"Ref": "AWS::NoValue"}]}]}]);
        assert_eq!(alarm["AlarmActions"], topic, "{who} notifies no topic");
        assert!(names.insert(name), "{who} has the name of another alarm");
    }
    let manual = read("docs/operating.md");
    let headings: BTreeSet<String> =
        manual.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
    assert_eq!(headings, names, "each alarm has one section, and there are no other sections");
}

#[test]
fn the_dashboard_shows_every_alarm_and_no_two_widgets_in_one_place() {
    let template = template();
    let dashboard = dashboard(&template);
    let widgets = dashboard["widgets"].as_array().expect("widgets");
    let shown = widgets.iter().flat_map(|widget| widget["properties"]["alarms"].as_array().into_iter().flatten());
    let shown: BTreeSet<String> = shown.map(|arn| text(arn).to_owned()).collect();
    let alarms = resources(&template, "AWS::CloudWatch::Alarm").map(|(name, _)| format!("${{{name}.Arn}}")).collect();
    assert_eq!(shown, alarms);
    let number = |widget: &Value, name: &str| widget[name].as_u64().expect("a number");
    let mut taken = BTreeSet::new();
    for widget in widgets {
        let (x, width) = (number(widget, "x"), number(widget, "width"));
        assert!(x + width <= 24, "{widget}");
        for place in (x..x + width).flat_map(|x| (0..number(widget, "height")).map(move |y| (x, y))) {
            assert!(taken.insert((place.0, place.1 + number(widget, "y"))), "{widget}");
        }
    }
}

/// Parses the table in the manual: `| `Name` | `dimension`, `dimension` | … |`.
#[test]
fn the_manual_has_every_metric_with_its_dimensions() {
    let manual = read("docs/operating.md");
    let row = Regex::new(r"^\| `([A-Z]\w+)` \| ([^|]*) \|").expect("a pattern");
    let word = Regex::new(r"`(\w+)`").expect("a pattern");
    let mut named = BTreeMap::new();
    for found in manual.lines().filter_map(|line| row.captures(line)) {
        let dimensions: Vec<String> = word.captures_iter(&found[2]).map(|word| word[1].to_owned()).collect();
        assert!(named.insert(found[1].to_owned(), dimensions).is_none(), "{} occurs twice", &found[1]);
    }
    let dimensions = |metric: &Description| metric.dimensions.iter().map(|name| (*name).to_owned()).collect();
    let emitted: BTreeMap<String, Vec<String>> =
        pipeline::metrics::ALL.iter().map(|metric| (metric.name.to_owned(), dimensions(metric))).collect();
    assert_eq!(named, emitted);
}
