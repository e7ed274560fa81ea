//! Generates a meeting of an engineering team.

use std::collections::HashSet;

use super::{
    company,
    file::{Pace, Person, Speech, Turn},
    phrases, topics,
    topics::Topic,
    vocabulary,
};

/// About 150 words a minute.
const ENGLISH: Pace = Pace { word: 104_000.0, character: 52_000.0 };

/// Speaks for about `seconds`. The first of `people` is the host.
pub(super) fn english(people: &[Person], seconds: u64, seed: u64) -> Vec<Turn> {
    let random = fastrand::Rng::with_seed(seed);
    let mut talk = Talk {
        people,
        speech: Speech::new(random, ENGLISH),
        topic: &topics::PRODUCT[0],
        recent: Vec::new(),
        once: HashSet::new(),
    };
    talk.begin();
    let mut order: Vec<&'static Topic> = Vec::new();
    // The end takes about twenty seconds.
    let end = seconds.saturating_sub(20);
    // No subject begins in the last minute.
    while talk.speech.seconds() + 60 < end {
        if order.is_empty() {
            order = topics::PRODUCT.iter().chain(&company::COMPANY).collect();
            talk.speech.random.shuffle(&mut order);
        }
        if let Some(topic) = order.pop() {
            talk.discuss(topic, end);
        }
    }
    talk.close();
    talk.speech.turns
}

/// Returns 4 to 6 people, the host first.
pub(super) fn people(seed: u64) -> Vec<Person> {
    let (_, mut random) = names(seed);
    group(seed, random.usize(4..=6))
}

/// Returns this many people, the host first, or as many as there are names.
pub(super) fn group(seed: u64, count: usize) -> Vec<Person> {
    let (names, _) = names(seed);
    names.into_iter().take(count).enumerate().map(|(place, name)| Person { name, is_host: place == 0 }).collect()
}

/// Returns the names of this many people who come after `speakers` people and say nothing. Each name is given once.
pub(super) fn silent(speakers: usize, count: usize, seed: u64) -> Vec<String> {
    let (names, _) = names(seed);
    let last = |name: &'static str| name.split(' ').next_back().unwrap_or(name);
    let others = names.into_iter().skip(speakers).map(str::to_owned);
    let mixed = (1..names.len()).flat_map(|step| {
        (0..names.len())
            .map(move |place| format!("{} {}", first_name(names[place]), last(names[(place + step) % names.len()])))
    });
    others.chain(mixed).take(count).collect()
}

fn names(seed: u64) -> ([&'static str; 24], fastrand::Rng) {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
    let mut names = vocabulary::NAMES;
    random.shuffle(&mut names);
    (names, random)
}

struct Talk<'a> {
    people: &'a [Person],
    speech: Speech,
    topic: &'static Topic,
    /// What was said recently, and is not repeated soon.
    recent: Vec<&'static str>,
    /// What is said only once.
    once: HashSet<&'static str>,
}

impl Talk<'_> {
    fn begin(&mut self) {
        for speaker in 0..self.people.len() {
            self.say(speaker, &[phrases::HELLOS]);
        }
        let words: Vec<String> = phrases::BEGIN.iter().flat_map(|phrase| self.fill(phrase, 0)).collect();
        self.speech.say(0, words);
    }

    /// The host hands over to the owner, the others ask, object, and agree, and the host closes with a decision.
    fn discuss(&mut self, topic: &'static Topic, end: u64) {
        self.topic = topic;
        let owner = self.other(0);
        let mut words = Vec::new();
        let opener = self.pick(phrases::OPENERS);
        // The person who is asked also answers.
        words.extend(self.fill(&opener.replace("{name}", first_name(self.people[owner].name)), 0));
        self.speech.say(0, words);
        self.say(owner, &[phrases::TAKEOVERS, phrases::UPDATES, phrases::UPDATES, phrases::UPDATES]);
        let rounds = self.speech.random.usize(7..=11);
        for _ in 0..rounds {
            if self.speech.seconds() >= end {
                return;
            }
            self.exchange(owner);
        }
        self.say(0, &[phrases::DECISIONS, phrases::ACTIONS]);
        let taker = self.other(0);
        self.say(taker, &[phrases::AGREEMENTS]);
    }

    fn exchange(&mut self, owner: usize) {
        use phrases::{ACTIONS, AGREEMENTS, ANSWERS, OPINIONS, PROBLEMS, QUESTIONS, UPDATES};
        let other = self.other(owner);
        match self.speech.random.u8(0..10) {
            0..=2 => {
                self.say(other, &[QUESTIONS]);
                self.say(owner, &[ANSWERS, UPDATES, UPDATES]);
                self.say(other, &[AGREEMENTS]);
            }
            3..=4 => {
                self.say(owner, &[UPDATES, UPDATES, PROBLEMS, UPDATES]);
                self.interject(owner);
            }
            5 => {
                self.say(owner, &[PROBLEMS, UPDATES]);
                self.interject(owner);
                self.say(other, &[AGREEMENTS, OPINIONS, OPINIONS]);
                self.say(owner, &[ANSWERS]);
            }
            6..=7 => {
                self.say(other, &[OPINIONS, PROBLEMS, OPINIONS]);
                self.interject(other);
                let third = self.third(owner, other);
                self.say(third, &[OPINIONS, QUESTIONS]);
                self.say(owner, &[ANSWERS, ANSWERS, UPDATES]);
            }
            8 => {
                self.say(other, &[QUESTIONS, QUESTIONS]);
                self.say(owner, &[ANSWERS, PROBLEMS, UPDATES]);
                self.interject(owner);
                self.say(other, &[OPINIONS]);
            }
            _ => {
                self.say(owner, &[UPDATES, UPDATES, OPINIONS, ACTIONS]);
                self.say(other, &[AGREEMENTS, ACTIONS]);
            }
        }
    }

    fn close(&mut self) {
        let words: Vec<String> = phrases::ENDINGS.iter().flat_map(|phrase| self.fill(phrase, 0)).collect();
        self.speech.say(0, words);
        for speaker in 1..self.people.len() {
            self.say(speaker, &[phrases::GOODBYES]);
        }
    }

    /// Speaks one turn with one sentence from each of these lists.
    fn say(&mut self, speaker: usize, kinds: &[&'static [&'static str]]) {
        let mut words = Vec::new();
        for kind in kinds {
            let phrase = self.pick(kind);
            words.extend(self.fill(phrase, speaker));
        }
        self.speech.say(speaker, words);
    }

    fn interject(&mut self, speaker: usize) {
        let (other, phrase) = (self.other(speaker), self.pick(phrases::INTERJECTIONS));
        self.speech.interject(other, phrase.split(' '));
    }

    fn other(&mut self, than: usize) -> usize {
        (than + self.speech.random.usize(1..self.people.len())) % self.people.len()
    }

    fn third(&mut self, one: usize, two: usize) -> usize {
        loop {
            let third = self.other(one);
            if third != two {
                return third;
            }
        }
    }

    /// Returns one of these that was not used recently.
    fn pick(&mut self, choices: &[&'static str]) -> &'static str {
        let used = |choice: &&'static str| self.recent.contains(choice) || self.once.contains(choice);
        let fresh: Vec<&'static str> = choices.iter().copied().filter(|choice| !used(choice)).collect();
        let from = if fresh.is_empty() { choices } else { &fresh };
        let picked = from[self.speech.random.usize(..from.len())];
        self.recent.push(picked);
        // A complete sentence without a gap would be recognized when it is repeated.
        if picked.len() > 35 && !picked.contains('{') && picked.ends_with(['.', '?']) {
            self.once.insert(picked);
        }
        // At most half of the sentences may be recent, so that there is always a choice.
        let of_these = self.recent.iter().filter(|recent| choices.contains(recent)).count();
        if of_these > choices.len() * 2 / 3
            && let Some(oldest) = self.recent.iter().position(|recent| choices.contains(recent))
        {
            self.recent.remove(oldest);
        }
        picked
    }

    /// Returns the words of a phrase with its gaps filled.
    fn fill(&mut self, phrase: &str, speaker: usize) -> Vec<String> {
        let mut text = String::new();
        let mut rest = phrase;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((gap, after)) = after.split_once('}') else { break };
            text.push_str(before);
            let filling = self.gap(gap, speaker);
            let begins = text.is_empty() || text.ends_with(". ") || text.ends_with("? ");
            match filling.chars().next().filter(|_| begins) {
                Some(first) => {
                    text.extend(first.to_uppercase());
                    text.push_str(&filling[first.len_utf8()..]);
                }
                None => text.push_str(filling),
            }
            rest = after;
        }
        text.push_str(rest);
        text.split(' ').map(str::to_owned).collect()
    }

    fn gap(&mut self, gap: &str, speaker: usize) -> &'static str {
        let topic = self.topic;
        match gap {
            "title" => topic.title,
            "part" | "other" => self.pick(&topic.parts),
            "symptom" => self.pick(&topic.symptoms),
            "fix" => self.pick(&topic.fixes),
            "metric" => self.pick(&topic.metrics),
            "customer" => self.pick(&vocabulary::CUSTOMERS),
            "team" => self.pick(&vocabulary::TEAMS),
            "day" => self.pick(&vocabulary::DAYS),
            "when" => self.pick(&vocabulary::WHENS),
            "count" => self.pick(&vocabulary::COUNTS),
            "time" => self.pick(&vocabulary::TIMES),
            "place" => self.pick(&vocabulary::PLACES),
            "name" => {
                let other = self.other(speaker);
                first_name(self.people[other].name)
            }
            _ => self.pick(&vocabulary::PERCENTS),
        }
    }
}

fn first_name(name: &'static str) -> &'static str {
    name.split(' ').next().unwrap_or(name)
}
