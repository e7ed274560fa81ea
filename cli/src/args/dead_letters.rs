//! The arguments of `dead-letters`.

use clap::{Args as ClapArgs, Subcommand, value_parser};
use job::ids::RecordingId;

use super::reason;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List what is on the queue, and why
    #[command(mut_arg("with_reason", |arg| arg.visible_alias("reason")))]
    List {
        #[command(flatten)]
        filters: Filters,
        /// How many dead letters to show
        #[arg(long, default_value = "50", value_name = "NUMBER", value_parser = value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Describe one dead letter
    Show {
        #[arg(value_name = "MESSAGE_ID")]
        message_id: String,
        /// Print the whole body and nothing else; it may contain personal data
        #[arg(long)]
        body: bool,
    },
    /// Send messages to the work queue, and deliveries to the webhook, once more
    #[command(mut_arg("with_reason", |arg| arg.visible_alias("reason")))]
    Redrive {
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Delete dead letters for good
    Drop {
        #[command(flatten)]
        chosen: Chosen,
        /// Why no one needs them any more, in one line
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
}

#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Filters {
    /// Only dead letters whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) with_reason: Option<String>,
    /// Only dead letters with this event, such as transcript.done
    #[arg(long)]
    pub(crate) event: Option<String>,
    /// Only dead letters of this recording
    #[arg(long = "recording", value_name = "ID")]
    pub(crate) recording_id: Option<RecordingId>,
}

/// Which dead letters to change. Nothing is chosen by default.
#[derive(Debug, ClapArgs)]
pub(crate) struct Chosen {
    /// The IDs of the messages, as `list` prints them
    #[arg(value_name = "MESSAGE_ID", conflicts_with_all = ["with_reason", "event", "recording_id", "all"])]
    pub(crate) message_ids: Vec<String>,
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// All dead letters
    #[arg(
        long,
        conflicts_with_all = ["with_reason", "event", "recording_id"],
        required_unless_present_any = ["message_ids", "with_reason", "event", "recording_id"]
    )]
    pub(crate) all: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::Args;

    const ID: &str = "00000000-0000-0000-0000-000000000001";

    fn is_valid(arguments: &[&str]) -> bool {
        Args::try_parse_from([&["recall-transcripts", "dead-letters"], arguments].concat()).is_ok()
    }

    #[test]
    fn a_change_says_what_it_changes() {
        for good in [
            &["redrive", ID][..],
            &["redrive", ID, "another"],
            &["redrive", "--all"],
            &["redrive", "--with-reason", "not JSON", "--event", "wake"],
            &["redrive", "--reason", "not JSON"],
            &["drop", "--recording", ID, "--reason", "old"],
            &["drop", "--with-reason", "not JSON", "--reason", "old"],
            &["list", "--reason", "not JSON"],
        ] {
            assert!(is_valid(good), "{good:?}");
        }
        for bad in [
            &["redrive"][..],
            &["redrive", ID, "--all"],
            &["redrive", ID, "--event", "wake"],
            &["redrive", "--all", "--event", "wake"],
            &["drop", ID],
            // This text says why, and chooses nothing.
            &["drop", "--reason", "old"],
            &["show"],
            &["list", "--recording", "no-id"],
        ] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }
}
