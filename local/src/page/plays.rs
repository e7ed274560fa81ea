//! The meetings that the page's buttons and the simulator's own control can play, and the faults in them.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use serde::Serialize;
use uuid::Uuid;

use crate::{
    recall::{Artifact, ArtifactFault, DownloadFault, Meeting, Simulator, Target, WebhookFault},
    wire::{Fault, Service, When, Wire, lock},
};

/// The simulator keeps the files of all meetings in memory: 1.5 MB for an hour.
pub(super) const MAX_PLAYS: usize = 200;

/// A file of more than two upload parts, and the place in the second part where its download ends early.
const LARGE_BYTES: usize = 12_000_000;
const BROKEN_AFTER: usize = 10_000_000;

/// These are times on the simulator's clock, which is 30 times as fast.
const LATE: Duration = Duration::from_secs(5 * 60);
const NOT_READY: Duration = Duration::from_secs(30 * 60);

/// A meeting that can be played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Hour,
    Faults,
    Japanese,
    Silent,
    Unannounced,
    Short,
    Large,
    Broken,
    Crowd,
    Late,
}

/// A button of the page.
#[derive(Debug, Serialize)]
pub(super) struct Button {
    kind: &'static str,
    label: &'static str,
    about: &'static str,
}

impl Kind {
    /// The meetings that have a button.
    pub const BUTTONS: [Self; 5] = [Self::Hour, Self::Faults, Self::Japanese, Self::Silent, Self::Unannounced];
    pub const ALL: [Self; 10] = [
        Self::Hour,
        Self::Faults,
        Self::Japanese,
        Self::Silent,
        Self::Unannounced,
        Self::Short,
        Self::Large,
        Self::Broken,
        Self::Crowd,
        Self::Late,
    ];

    /// The name in URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Faults => "faults",
            Self::Japanese => "japanese",
            Self::Silent => "silent",
            Self::Unannounced => "unannounced",
            Self::Short => "short",
            Self::Large => "large",
            Self::Broken => "broken",
            Self::Crowd => "crowd",
            Self::Late => "late",
        }
    }

    /// Returns the kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    pub(super) fn button(self) -> Button {
        let (label, about) = self.texts();
        Button { kind: self.name(), label, about }
    }

    /// Describes the meeting in a sentence.
    pub(crate) fn about(self) -> &'static str {
        self.texts().1
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Hour => ("An hour in English", "Everything works. Takes about three seconds."),
            Self::Faults => {
                ("One with faults", "Duplicate, lost, and late webhooks, and a lost answer. Takes about 20 seconds.")
            }
            Self::Japanese => ("One in Japanese", "Two minutes of talk, without spaces between words."),
            Self::Silent => ("One without speech", "No one speaks. That is a result, not an error."),
            Self::Unannounced => {
                ("One whose webhook is lost", "The sweep finds it in Recall's list after two minutes.")
            }
            Self::Short => ("A short one in English", "Three and a half minutes of talk."),
            Self::Large => ("A long one", "Eight hours and a file of 12 MB, which goes to S3 in parts."),
            Self::Broken => {
                ("One with a broken download", "The first download ends after 10 of 12 MB. The second one is complete.")
            }
            Self::Crowd => ("A large one", "40 people attend for ten minutes, and 30 of them say nothing."),
            Self::Late => ("One whose people come late", "Recall knows who was there half an hour after the meeting."),
        }
    }

    fn meeting(self, seed: u64) -> Meeting {
        let (meeting, title) = match self {
            Self::Hour => (Meeting::hour(seed), "Weekly product meeting"),
            Self::Faults => (Meeting::hour(seed), "Product meeting on a bad day"),
            Self::Japanese => (Meeting::japanese(seed), "定例会議"),
            Self::Silent => (Meeting::silent(), "No one came"),
            Self::Unannounced => (Meeting::short(seed), "Meeting without a webhook"),
            Self::Short => (Meeting::short(seed), "Stand-up"),
            Self::Large => (Meeting::large(LARGE_BYTES), "Workshop"),
            // The meeting is so short that its transcription takes no noticeable time.
            Self::Broken => (Meeting::large(LARGE_BYTES).lasting(Duration::from_secs(600)), "Workshop on a bad line"),
            Self::Crowd => (Meeting::crowd(10, 30, seed), "All hands"),
            Self::Late => (Meeting::short(seed), "Meeting with late participants"),
        };
        let meeting = if meeting.has_title() { meeting.titled(Some(title)) } else { meeting };
        meeting.metadata("title", title)
    }

    /// Describes the faults in words. [`Kind::disturb`] causes them.
    fn faults(self) -> &'static [&'static str] {
        match self {
            Self::Hour | Self::Japanese | Self::Silent | Self::Short | Self::Large | Self::Crowd => &[],
            Self::Faults => &[
                "recording.done is delivered twice at once",
                "create_transcript takes effect, but its answer is lost",
                "transcript.processing is never delivered",
                "transcript.done is delivered five minutes late, by the simulator's clock",
                "the first download ends early",
                "the bucket answers the first upload with 503",
            ],
            Self::Unannounced => &["recording.done is never delivered"],
            Self::Broken => &["the first download ends early"],
            Self::Late => &["the participants and the title are ready half an hour late, by the simulator's clock"],
        }
    }

    fn disturb(self, recording: Uuid, simulator: &Simulator, wire: &Wire) {
        let faults = simulator.faults();
        let once = Target::recording(recording).times(1);
        match self {
            Self::Hour | Self::Japanese | Self::Silent | Self::Short | Self::Large | Self::Crowd => {}
            Self::Faults => {
                faults.webhook_of(once, "recording.done", WebhookFault::Copies(2));
                let create = format!("/{recording}/create_transcript/");
                wire.inject(Service::Recall, &create, When::After, Fault::Drop, 1);
                faults.webhook_of(once, "transcript.processing", WebhookFault::Dropped);
                faults.webhook_of(once, "transcript.done", WebhookFault::Delayed(LATE));
                faults.download(once, DownloadFault::Truncated { after: 100_000 });
                let put = format!("PUT /{}/recordings/{recording}/", crate::stack::BUCKET);
                let away = Fault::Answer { status: 503, retry_after: None };
                wire.inject(Service::S3, &put, When::Before, away, 1);
            }
            Self::Unannounced => faults.webhook_of(once, "recording.done", WebhookFault::Dropped),
            Self::Broken => faults.download(once, DownloadFault::Truncated { after: BROKEN_AFTER }),
            Self::Late => {
                for artifact in [Artifact::ParticipantEvents, Artifact::MeetingMetadata] {
                    faults.artifact(Target::recording(recording), artifact, ArtifactFault::Late(NOT_READY));
                }
            }
        }
    }
}

/// The meetings that were played in this run.
#[derive(Debug, Default)]
pub(crate) struct Plays(Mutex<HashMap<Uuid, Play>>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Play {
    pub(super) at_ms: i64,
    pub(super) faults: &'static [&'static str],
}

impl Plays {
    /// Plays a meeting and returns its recording's id, or `None` if there have been too many.
    pub(crate) fn play(&self, kind: Kind, simulator: &Simulator, wire: &Wire, at_ms: i64) -> Option<Uuid> {
        if lock(&self.0).len() >= MAX_PLAYS {
            return None;
        }
        let recording = simulator.add_recording(kind.meeting(fastrand::u64(..)));
        // The faults must be set before anything can happen.
        kind.disturb(recording, simulator, wire);
        lock(&self.0).insert(recording, Play { at_ms, faults: kind.faults() });
        simulator.announce(recording);
        Some(recording)
    }

    pub(super) fn all(&self) -> HashMap<Uuid, Play> {
        lock(&self.0).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recall::SimulatorConfig;

    #[tokio::test]
    async fn meetings_of_one_run_are_limited() -> anyhow::Result<()> {
        let wire = Wire::default();
        let simulator = Simulator::start(&wire, SimulatorConfig::default()).await?;
        let plays = Plays::default();
        for at_ms in 0..MAX_PLAYS as i64 {
            assert!(plays.play(Kind::Silent, &simulator, &wire, at_ms).is_some(), "{at_ms}");
        }
        assert_eq!(plays.play(Kind::Silent, &simulator, &wire, 0), None);
        assert_eq!(simulator.all_recordings().len(), MAX_PLAYS);
        Ok(())
    }
}
