//! `whoami`: which account, region, stack and Recall region the command uses.

use serde::Serialize;

use crate::{error::CliError, output::Output, stack::Stack};

#[derive(Debug, Serialize)]
struct Whoami<'a> {
    account: String,
    arn: String,
    region: &'a str,
    stack: &'a str,
    /// The version of the deployed stack.
    version: Option<&'a str>,
    /// The version of this command.
    command_version: &'static str,
    recall_region: Option<&'a str>,
}

pub(crate) async fn run(stack: &Stack, output: &Output) -> Result<(), CliError> {
    let identity = aws_sdk_sts::Client::new(&stack.config).get_caller_identity().send().await;
    let identity = identity.map_err(|error| CliError::aws("GetCallerIdentity", &error))?;
    let whoami = Whoami {
        account: identity.account.unwrap_or_default(),
        arn: identity.arn.unwrap_or_default(),
        region: stack.region(),
        stack: &stack.name,
        version: stack.version(),
        command_version: env!("CARGO_PKG_VERSION"),
        recall_region: stack.parameter("RecallRegion"),
    };
    if output.json {
        output.object(&whoami);
        return Ok(());
    }
    let unknown = "unknown";
    output.text(&format!(
        "account        {}\nidentity       {}\nregion         {}\nstack          {}, version {}\n\
         this command   version {}\nRecall region  {}",
        whoami.account,
        whoami.arn,
        whoami.region,
        whoami.stack,
        whoami.version.unwrap_or(unknown),
        whoami.command_version,
        whoami.recall_region.unwrap_or(unknown),
    ));
    Ok(())
}
