//! What is played in a chaos run, and which end each recording should have.

use std::{fmt, ops::RangeInclusive, sync::LazyLock, time::Duration};

use fastrand::Rng;
use local::recall::{Meeting, Metadata, Simulator, Target};
use uuid::Uuid;

const PROVIDERS: [&str; 3] = ["recallai_async", "assembly_ai_async", "rev_async"];
/// A file of two parts.
const LARGE_BYTES: usize = 5_500_000;
/// How long after its end the sweep takes up a recording. This is the pipeline's own value.
pub(super) const HEAD_START: Duration = Duration::from_secs(2 * 60);
/// More failures than there are tries.
const ALWAYS: usize = 100;

/// The operator's settings.
#[derive(Debug)]
pub(super) struct World {
    providers: usize,
    tries: usize,
    limit: usize,
    on_limit: &'static str,
    pub(super) delete: &'static str,
}

impl World {
    pub(super) fn any(random: &mut Rng) -> Self {
        Self {
            providers: random.usize(1..=PROVIDERS.len()),
            tries: random.usize(1..=2),
            limit: [10, 10, 2, 1][random.usize(..4)],
            on_limit: ["stop", "delete_failed", "delete_stored"][random.usize(..3)],
            delete: ["none", "none", "transcript", "recording"][random.usize(..4)],
        }
    }

    pub(super) fn env(&self) -> Vec<(String, String)> {
        let chain: Vec<String> =
            PROVIDERS[..self.providers].iter().map(|name| format!(r#"{{"{name}": {{}}}}"#)).collect();
        [
            ("TRANSCRIPT_PROVIDERS", format!("[{}]", chain.join(", "))),
            ("TRIES_PER_PROVIDER", self.tries.to_string()),
            ("MAX_TRANSCRIPTS_PER_RECORDING", self.limit.to_string()),
            ("ON_LIMIT", self.on_limit.to_owned()),
            ("DELETE_AFTER_STORE", self.delete.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Returns whether a stored transcript may be deleted to make room for the next attempt.
    pub(super) fn makes_room(&self) -> bool {
        self.on_limit == "delete_stored"
    }

    /// Returns how the chain of attempts ends when the first `failures` transcriptions fail, and how many of them are
    /// paid for.
    fn after(&self, failures: usize) -> (&'static str, usize) {
        let (mut creates, mut at_recall) = (0, 0);
        loop {
            if creates == self.providers * self.tries {
                return ("failed", creates);
            }
            if at_recall == self.limit {
                match self.on_limit {
                    "delete_failed" => at_recall -= 1,
                    _ => return ("limit_reached", creates),
                }
            }
            (creates, at_recall) = (creates + 1, at_recall + 1);
            if creates > failures {
                return ("stored", creates);
            }
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { providers, tries, limit, on_limit, delete } = self;
        write!(f, "{providers} providers, {tries} tries each, limit {limit}, at the limit {on_limit}, delete {delete}")
    }
}

/// A way in which a recording may end.
#[derive(Debug)]
pub(super) struct End {
    pub(super) status: &'static str,
    /// How many transcripts are paid for.
    pub(super) creates: RangeInclusive<usize>,
}

/// What is special about a recording.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Story {
    /// The first transcriptions of the recording fail.
    Meeting { failures: usize },
    /// The file is uploaded in parts.
    Large,
    /// The first transcription does not end by itself.
    Slow,
    /// The meeting was not recorded.
    NotCaptured,
    /// Neither video nor audio was kept.
    NoMedia,
    /// The metadata asks for no transcript.
    Skipped,
    /// Another client requests a transcript as well.
    Shared,
    /// The recording is deleted while the pipeline works on it.
    Deleted,
}

impl Story {
    pub(super) fn any(random: &mut Rng) -> Self {
        match random.u32(..100) {
            0..60 => Self::Meeting { failures: 0 },
            60..70 => Self::Meeting { failures: 1 },
            70..76 => Self::Meeting { failures: 2 },
            76..80 => Self::Meeting { failures: ALWAYS },
            80..84 => Self::Large,
            84..87 => Self::Slow,
            87..89 => Self::NotCaptured,
            89..91 => Self::NoMedia,
            91..93 => Self::Skipped,
            93..97 => Self::Shared,
            _ => Self::Deleted,
        }
    }

    /// Plays the story and returns the recording.
    pub(super) fn play(self, simulator: &Simulator, random: &mut Rng) -> Uuid {
        let mut meeting = self.meeting(random);
        if random.u32(..10) == 0 {
            meeting = meeting.bot_metadata("transcript_provider", PROVIDERS[random.usize(..PROVIDERS.len())]);
        }
        if self == Self::NotCaptured {
            return simulator.recording_failed(meeting, Some("internal_error"));
        }
        let recording = simulator.start_recording(meeting);
        let first = |times| Target::recording(recording).times(times);
        match self {
            Self::Meeting { failures } => {
                simulator.faults().fail_transcription(first(failures), Some("provider_connection_failed"));
            }
            Self::Slow => simulator.faults().never_transcribe(first(1)),
            Self::Large | Self::NotCaptured | Self::NoMedia | Self::Skipped | Self::Shared | Self::Deleted => {}
        }
        simulator.finish_recording(recording);
        // The sweep leaves recent recordings to their webhooks. It may find older ones before their webhooks arrive.
        if random.bool() {
            simulator.age(recording, HEAD_START);
        }
        match self {
            Self::Shared => drop(simulator.add_transcript(recording, "deepgram_async", Metadata::new())),
            Self::Deleted => {
                let (simulator, after) = (simulator.clone(), Duration::from_millis(random.u64(..400)));
                drop(tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    simulator.delete_recording(recording);
                }));
            }
            Self::Meeting { .. } | Self::Large | Self::Slow | Self::NotCaptured | Self::NoMedia | Self::Skipped => {}
        }
        recording
    }

    fn meeting(self, random: &mut Rng) -> Meeting {
        static MEETINGS: LazyLock<Vec<Meeting>> = LazyLock::new(|| {
            let others = [Meeting::silent(), Meeting::japanese(1), Meeting::hour(1)];
            (1..6).map(Meeting::short).chain(others).collect()
        });
        static LARGE: LazyLock<Meeting> = LazyLock::new(|| Meeting::large(LARGE_BYTES));
        let meeting = &MEETINGS[random.usize(..MEETINGS.len())];
        match self {
            Self::Large => LARGE.clone(),
            Self::NoMedia => meeting.clone().without_media(),
            Self::Skipped => meeting.clone().metadata("transcript", "skip"),
            Self::Meeting { .. } | Self::Slow | Self::NotCaptured | Self::Shared | Self::Deleted => meeting.clone(),
        }
    }

    /// Returns whether the recording may end without a row. No list contains such a recording, so it is lost if its
    /// webhooks are lost.
    pub(super) fn may_stay_unknown(self) -> bool {
        match self {
            Self::NotCaptured | Self::Deleted => true,
            Self::Meeting { .. } | Self::Large | Self::Slow | Self::NoMedia | Self::Skipped | Self::Shared => false,
        }
    }

    /// Returns the ends that are correct for this story.
    pub(super) fn deserves(self, world: &World) -> Vec<End> {
        let end = |status, creates| End { status, creates: creates..=creates };
        match self {
            Self::Meeting { failures } => {
                let (status, creates) = world.after(failures);
                vec![end(status, creates)]
            }
            Self::Large | Self::Slow => vec![end("stored", 1)],
            Self::NotCaptured | Self::NoMedia => vec![end("failed", 0)],
            Self::Skipped => vec![end("skipped", 0)],
            // The other client's transcript may take the only slot before ours is requested. Ours is still missing
            // then, so the job waits for a slot, unless the other transcript may be deleted once it is stored.
            Self::Shared if world.limit == 1 && !world.makes_room() && world.delete != "transcript" => {
                vec![end("stored", 1), end("limit_reached", 0)]
            }
            Self::Shared => vec![end("stored", 1)],
            // If no webhook announced the deletion, the job asks Recall for a day, and Recall does not know the
            // recording.
            Self::Deleted => {
                ["stored", "lost", "failed", "skipped"].map(|status| End { status, creates: 0..=1 }).into()
            }
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meeting { failures: 0 } => f.write_str("a meeting"),
            Self::Meeting { failures: ALWAYS } => f.write_str("a meeting whose transcriptions all fail"),
            Self::Meeting { failures } => write!(f, "a meeting whose first {failures} transcriptions fail"),
            Self::Large => f.write_str("a meeting with a large transcript"),
            Self::Slow => f.write_str("a meeting whose transcription never ends"),
            Self::NotCaptured => f.write_str("a meeting that was not recorded"),
            Self::NoMedia => f.write_str("a meeting without media"),
            Self::Skipped => f.write_str("a meeting that asks for no transcript"),
            Self::Shared => f.write_str("a meeting with a transcript that another client requested"),
            Self::Deleted => f.write_str("a meeting that is deleted"),
        }
    }
}
