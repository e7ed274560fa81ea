//! The arguments of the command.

mod dead_letters;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum, value_parser};
use clap_complete::Shell;
use job::{Status, ids::RecordingId};

pub(crate) use self::dead_letters::{Chosen, DeadLetters, Filters};
use crate::times::{Age, TimeFormat};

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    usage error
  3    not found
  4    no permission, or the login has expired
  5    some items failed
  7    declined at the prompt, or no one to ask
  130  stopped with Ctrl-C";

/// Shows and repairs the jobs of a deployment: one job for each recording.
#[derive(Debug, Parser)]
#[command(name = "recall-transcripts", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The CloudFormation stack. Without it, the only stack of this product in the region is used
    #[arg(long, global = true, env = "RECALL_TRANSCRIPTS_STACK", value_name = "NAME")]
    pub(crate) stack: Option<String>,
    /// The profile in your AWS configuration
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The AWS region
    #[arg(long, global = true)]
    pub(crate) region: Option<String>,
    /// Another AWS endpoint, such as the one that `cargo dev` prints
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
    /// Print JSON: a list as JSON Lines, a single item as one object
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Print what would be done, and change nothing
    #[arg(short = 'n', long, global = true)]
    pub(crate) dry_run: bool,
    /// Never ask; a question ends the command with exit code 7
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Whether to use colors
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Color,
    /// How to show times
    #[arg(long, global = true, default_value = "relative", value_name = "FORMAT")]
    pub(crate) time: TimeFormat,
    /// Print no messages except errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Also print what the command reads
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show which account, region, stack and Recall region the command uses
    Whoami,
    /// Show on one screen how the deployment is: alarms, jobs, queues, spending
    Status,
    /// List the jobs that are in progress, overdue, or in need of attention
    Jobs(JobsArgs),
    /// Tell the whole story of one recording
    Show {
        #[arg(value_name = "RECORDING")]
        recording_id: RecordingId,
    },
    /// Pay for one more attempt to transcribe a recording
    Retry(RetryArgs),
    /// Continue what waits, now
    Wake {
        #[command(flatten)]
        recordings: Recordings,
        #[command(flatten)]
        why: Why,
    },
    /// Take jobs that ended without a transcript out of the list of jobs in need of attention
    Dismiss {
        #[command(flatten)]
        recordings: Recordings,
        /// Why nothing more has to be done, in one line; the function logs it
        #[arg(long, value_parser = reason)]
        reason: String,
    },
    /// Make the readable files of stored transcripts again, from what is in S3
    Render {
        #[command(flatten)]
        recordings: Recordings,
        #[command(flatten)]
        why: Why,
    },
    /// Stop everything that costs money: requests for transcripts, and copies
    Pause,
    /// Start again what `pause` stopped, as the stack configures it
    Resume,
    /// Look at, send again, or delete what the functions could not handle
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Print a script that completes the command's arguments in a shell
    Completions { shell: Shell },
    /// Print the manual page
    Man,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Recordings {
    /// The IDs of the recordings
    #[arg(value_name = "RECORDING", required = true)]
    pub(crate) recording_ids: Vec<RecordingId>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Why {
    /// Why, in one line; the function logs it
    #[arg(long, value_parser = reason)]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct JobsArgs {
    /// Only jobs with one of these statuses
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    pub(crate) status: Vec<Status>,
    /// Only jobs whose recording was done longer ago than this, such as 2h or 3d
    #[arg(long, value_name = "AGE")]
    pub(crate) older_than: Option<Age>,
    /// Only jobs whose newest attempt used this provider
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// How many jobs to show
    #[arg(long, default_value = "50", value_name = "NUMBER", value_parser = value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) recordings: Recordings,
    /// Try this provider of the chain first
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// What one hour costs with that provider, in USD, if you have another price
    #[arg(long, value_name = "USD", value_parser = price)]
    pub(crate) price: Option<f64>,
    #[command(flatten)]
    pub(crate) why: Why,
}

/// The longest reason, as the queue's message has it.
const MAX_REASON_BYTES: usize = 200;

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_REASON_BYTES || text.contains(char::is_control) {
        return Err(format!("write one line of 1 to {MAX_REASON_BYTES} bytes"));
    }
    Ok(text.to_owned())
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse().ok().filter(|price: &f64| price.is_finite() && *price >= 0.0);
    price.ok_or_else(|| "write an amount in USD, such as 0.37".to_owned())
}

fn status(text: &str) -> Result<Status, String> {
    let known = Status::ALL.into_iter().find(|status| status.as_str() == text);
    known.ok_or_else(|| {
        let names: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        format!("use one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_the_document() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");
        let document = std::fs::read_to_string(path).expect("the document");
        let headings: Vec<&str> =
            document.lines().filter_map(|line| line.strip_prefix("### ")).flat_map(|names| names.split(", ")).collect();
        let commands = Args::command();
        let named = |name: &&str| *name != "whoami";
        let names: Vec<&str> = commands.get_subcommands().map(clap::Command::get_name).filter(named).collect();
        assert_eq!(headings, names);
        for code in EXIT_CODES.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u8>().ok()) {
            assert!(document.contains(&format!("| {code} |")), "{code}");
        }
    }

    #[test]
    fn reason_is_one_line() {
        assert_eq!(reason(" key fixed "), Ok("key fixed".to_owned()));
        for bad in ["", "  ", "a\nb", &"x".repeat(201)] {
            assert!(reason(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn options_may_follow_the_command() {
        let id = "00000000-0000-0000-0000-000000000001";
        let args = Args::try_parse_from(["recall-transcripts", "show", id, "--json", "--stack", "x"]).expect("valid");
        assert!(args.global.json && args.global.stack.as_deref() == Some("x"));
        for bad in
            [&["recall-transcripts", "show", "7"][..], &["recall-transcripts", "dismiss", id], &["recall-transcripts"]]
        {
            assert!(Args::try_parse_from(bad).is_err(), "{bad:?}");
        }
    }
}
