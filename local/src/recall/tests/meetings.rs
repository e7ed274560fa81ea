//! Generated meetings have the stated size and Recall's format.

use std::{collections::HashMap, time::Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::keys_of;
use crate::recall::Meeting;

fn turns(meeting: &Meeting) -> Result<Vec<Value>> {
    Ok(serde_json::from_slice(meeting.content())?)
}

fn words(turn: &Value) -> impl Iterator<Item = &Value> {
    turn["words"].as_array().into_iter().flatten()
}

fn start(word: &Value) -> Result<f64> {
    word["start_timestamp"]["relative"].as_f64().context("no start")
}

#[test]
fn an_hour_has_its_size() -> Result<()> {
    for seed in 0..3 {
        let meeting = Meeting::hour(seed);
        let turns = turns(&meeting)?;
        let count = turns.iter().flat_map(words).count();
        let (bytes, minutes) = (meeting.content().len(), meeting.duration().as_secs_f64() / 60.0);
        assert!((8_500..=9_600).contains(&count), "{count} words");
        assert!((1_200_000..=1_700_000).contains(&bytes), "{bytes} bytes");
        assert!((58.0..=61.5).contains(&minutes), "{minutes} minutes");
        let hosts: HashMap<&str, bool> = turns
            .iter()
            .filter_map(|turn| Some((turn["participant"]["name"].as_str()?, turn["participant"]["is_host"].as_bool()?)))
            .collect();
        assert!((4..=6).contains(&hosts.len()), "{} speakers", hosts.len());
        assert_eq!(hosts.values().filter(|host| **host).count(), 1);
        assert_eq!(meeting.content(), Meeting::hour(seed).content());
    }
    Ok(())
}

#[test]
fn turns_are_exact_and_in_order() -> Result<()> {
    let meeting = Meeting::hour(5);
    // The file contains nothing that a compact writer would leave out.
    let plain: Value = serde_json::from_slice(meeting.content())?;
    assert_eq!(plain.to_string().len(), meeting.content().len());
    let (mut before, mut overlaps, mut end) = (0.0, 0, 0.0);
    for turn in turns(&meeting)? {
        assert_eq!(keys_of(&turn), ["language_code", "participant", "words"]);
        assert_eq!(keys_of(&turn["participant"]), ["email", "extra_data", "id", "is_host", "name", "platform"]);
        let mut last = 0.0;
        for word in words(&turn) {
            assert_eq!(keys_of(word), ["end_timestamp", "start_timestamp", "text"]);
            assert_eq!(word["start_timestamp"]["absolute"], Value::Null);
            let (start, stop) = (start(word)?, word["end_timestamp"]["relative"].as_f64().context("no end")?);
            assert!(last <= start && (0.05..2.0).contains(&(stop - start)));
            last = stop;
        }
        let first = start(words(&turn).next().context("no words")?)?;
        assert!(before <= first);
        overlaps += usize::from(first < end);
        (before, end) = (first, last);
    }
    assert!((5..100).contains(&overlaps), "{overlaps} overlaps");
    Ok(())
}

#[test]
fn an_hour_does_not_repeat_itself() -> Result<()> {
    let mut said: HashMap<String, usize> = HashMap::new();
    for turn in turns(&Meeting::hour(2))? {
        let text: Vec<&str> = words(&turn).filter_map(|word| word["text"].as_str()).collect();
        let text = text.join(" ");
        assert!(!text.contains(['{', '}']), "{text}");
        for sentence in text.split_inclusive(['.', '?']).map(str::trim).filter(|one| one.split(' ').count() > 8) {
            *said.entry(sentence.to_owned()).or_default() += 1;
        }
    }
    let repeated: usize = said.values().filter(|count| **count > 1).count();
    assert!(repeated * 20 < said.len(), "{repeated} of {}", said.len());
    Ok(())
}

#[test]
fn the_other_meetings() -> Result<()> {
    assert_eq!(Meeting::silent().content(), "[]");
    for (meeting, language) in [(Meeting::short(1), "en"), (Meeting::japanese(1), "ja")] {
        assert!((80..240).contains(&meeting.duration().as_secs()), "{:?}", meeting.duration());
        assert!(turns(&meeting)?.iter().all(|turn| turn["language_code"] == language));
    }
    let begun = Instant::now();
    let large = Meeting::large(20_000_000);
    assert!(begun.elapsed().as_secs() < 5);
    assert!((20_000_000..20_100_000).contains(&large.content().len()));
    let starts: Vec<f64> =
        turns(&large)?.iter().filter_map(|turn| words(turn).next().and_then(|word| start(word).ok())).collect();
    assert!(starts.is_sorted());
    Ok(())
}
