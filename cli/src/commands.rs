//! The commands, one file for each.

mod dead_letters;
mod jobs;
mod messages;
mod pause;
mod retry;
mod show;
mod status;
mod whoami;

use clap::CommandFactory as _;
use job::{Event, ids::RecordingId};

use self::messages::Change;
use crate::{
    args::{Args, Command},
    error::CliError,
    output::Output,
    stack::Stack,
};

/// Runs the command.
///
/// # Errors
/// What went wrong, and what to do about it.
pub(crate) async fn run(args: Args, output: &Output) -> Result<(), CliError> {
    let Args { global, command } = args;
    match command {
        // These two need no deployment.
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "recall-transcripts", &mut std::io::stdout());
            Ok(())
        }
        Command::Man => clap_mangen::Man::new(Args::command())
            .render(&mut std::io::stdout())
            .map_err(|error| CliError::failed("not_printed", format!("the page could not be printed: {error}"))),
        Command::Whoami => whoami::run(&Stack::find(&global).await?, output).await,
        Command::Status => status::run(&Stack::find(&global).await?, output).await,
        Command::Jobs(chosen) => jobs::run(&Stack::find(&global).await?, output, &chosen).await,
        Command::Show { recording_id } => show::run(&Stack::find(&global).await?, output, recording_id).await,
        Command::Retry(asked) => retry::run(&Stack::find(&global).await?, &global, output, &asked).await,
        Command::Pause => pause::pause(&Stack::find(&global).await?, &global, output).await,
        Command::Resume => pause::resume(&Stack::find(&global).await?, &global, output).await,
        Command::Wake { recordings, why } => {
            let change = Change {
                what: "continue what waits, now",
                event: |_| Ok(Event::Wake { now: true }),
                reason: why.reason,
            };
            change.send(&Stack::find(&global).await?, &global, output, &recordings.recording_ids).await
        }
        Command::Dismiss { recordings, reason } => {
            let change = Change {
                what: "take out of the list of jobs in need of attention",
                event: |job| match job.ended_at.filter(|_| job.needs_attention()) {
                    Some(ended_at) => Ok(Event::Dismiss { ended_at }),
                    None => Err("the job does not need attention".to_owned()),
                },
                reason: Some(reason),
            };
            change.send(&Stack::find(&global).await?, &global, output, &recordings.recording_ids).await
        }
        Command::Render { recordings, why } => {
            let change = Change {
                what: "make the readable files again",
                event: |job| match job.transcripts.iter().any(|transcript| transcript.state.receipt().is_some()) {
                    true => Ok(Event::Render { transcript_id: None }),
                    false => Err("no transcript of this recording is stored".to_owned()),
                },
                reason: why.reason,
            };
            change.send(&Stack::find(&global).await?, &global, output, &recordings.recording_ids).await
        }
        Command::DeadLetters(what) => dead_letters::run(&Stack::find(&global).await?, &global, output, &what).await,
    }
}

fn unknown_recording(stack: &Stack, recording_id: RecordingId) -> CliError {
    CliError::not_found(
        "unknown_recording",
        format!("the stack {} in {} has no job for recording {recording_id}", stack.name, stack.region()),
    )
    .hint("check --stack and --region: recall-transcripts whoami")
}
