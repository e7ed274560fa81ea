//! Every boundary of an effect, as data: each line of `table.txt` is one boundary. A test compares the table with the
//! real calls, so an effect without a kill fails that test. `UPDATE_EXPECT=1 cargo test kills` writes the table again.

use std::{collections::HashMap, fmt::Write as _};

use anyhow::{Context as _, Result, bail};
use local::wire::{Call, Service};

use super::scenes::Scene;

const TABLE: &str = include_str!("table.txt");

/// The operations that change something outside, each with a part of its name that no other operation has.
const EFFECTS: [(&str, Service, &str); 27] = [
    ("dynamodb", Service::DynamoDb, "PutItem"),
    ("recall", Service::Recall, "/create_transcript/"),
    ("recall", Service::Recall, "DELETE /api/v1/"),
    ("sqs", Service::Sqs, "SendMessage"),
    ("sqs", Service::Sqs, "ChangeMessageVisibility"),
    ("eventbridge", Service::EventBridge, "PutEvents"),
    ("s3", Service::S3, "/transcript.json?x-id=PutObject"),
    ("s3", Service::S3, ".jsonl?x-id=PutObject"),
    ("s3", Service::S3, "/transcript.txt?x-id=PutObject"),
    ("s3", Service::S3, "/transcript.md?x-id=PutObject"),
    ("s3", Service::S3, "/transcript.vtt?x-id=PutObject"),
    ("s3", Service::S3, "/transcript.srt?x-id=PutObject"),
    ("s3", Service::S3, "/transcript.html?x-id=PutObject"),
    ("s3", Service::S3, "/participants.json?x-id=PutObject"),
    ("s3", Service::S3, "/events.json?x-id=PutObject"),
    ("s3", Service::S3, "/timeline.json?x-id=PutObject"),
    ("s3", Service::S3, "/provider.json?x-id=PutObject"),
    ("s3", Service::S3, ".md.metadata.json?x-id=PutObject"),
    ("s3", Service::S3, ".md?x-id=PutObject"),
    ("s3", Service::S3, "/manifest.json?x-id=PutObject"),
    ("s3", Service::S3, "/transcript.json?uploads"),
    ("s3", Service::S3, "?x-id=UploadPart"),
    ("s3", Service::S3, "/transcript.json?uploadId="),
    ("s3", Service::S3, "?x-id=AbortMultipartUpload"),
    ("s3", Service::S3, ".jsonl?x-id=DeleteObject"),
    ("s3", Service::S3, ".md?x-id=DeleteObject"),
    ("s3", Service::S3, ".md.metadata.json?x-id=DeleteObject"),
];
/// The reads of the sweep before its effects. The sweep is killed at these as well.
const SWEEP_LOOKS: [(&str, Service, &str); 3] = [
    ("dynamodb", Service::DynamoDb, "GetItem"),
    ("recall", Service::Recall, "GET /api/v1/recording/"),
    ("recall", Service::Recall, "GET /api/v1/transcript/"),
];
/// The operations that only read.
const LOOKS: [&str; 7] = ["GetItem", "BatchGetItem", "Query", "GetQueueAttributes", "GetSecretValue", "GET ", "HEAD "];

/// A function of the pipeline.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Of {
    Webhook,
    Transcript,
    Sweep,
}

/// The n-th call of an operation in a scene, and the function that makes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Boundary {
    pub(super) of: Of,
    pub(super) service: Service,
    pub(super) operation: &'static str,
    pub(super) nth: usize,
}

/// Returns the boundaries of a scene.
pub(super) fn boundaries(scene: Scene) -> Result<Vec<Boundary>> {
    let name = format!("{scene:?}");
    TABLE.lines().filter(|line| line.split_whitespace().next() == Some(&*name)).map(boundary).collect()
}

fn boundary(line: &str) -> Result<Boundary> {
    let parse = || {
        let mut words = line.split_whitespace().skip(1);
        let of = match words.next()? {
            "webhook" => Of::Webhook,
            "transcript" => Of::Transcript,
            "sweep" => Of::Sweep,
            _ => return None,
        };
        let service = words.next()?;
        let nth = words.next()?.parse().ok()?;
        let operation = words.collect::<Vec<_>>().join(" ");
        let (_, service, operation) =
            EFFECTS.into_iter().chain(SWEEP_LOOKS).find(|(of, _, name)| *of == service && *name == operation)?;
        Some(Boundary { of, service, operation, nth })
    };
    parse().with_context(|| format!("`{line}` is not a boundary"))
}

/// Returns the lines of a scene, from the calls that were made in it.
pub(super) fn lines(scene: Scene, calls: &[(Of, Call)]) -> Result<String> {
    let (mut lines, mut counts) = (String::new(), HashMap::<&str, usize>::new());
    for (of, call) in calls {
        let Call { service, operation, status, .. } = call;
        let effect = EFFECTS.into_iter().find(|(_, of, name)| of == service && operation.contains(name));
        let look = SWEEP_LOOKS.into_iter().find(|(_, of, name)| of == service && operation.contains(name));
        let looks = *service == Service::Webhook || LOOKS.iter().any(|look| operation.starts_with(look));
        let (service, operation) = match effect {
            // A refused call has changed nothing.
            Some(_) if status.is_none_or(|status| status >= 300) => continue,
            Some((service, _, operation)) => (service, operation),
            None => match look {
                Some((service, _, operation)) => (service, operation),
                None if looks => continue,
                None => bail!("{service:?} {operation} is neither an effect nor a read: add it to one of the lists"),
            },
        };
        let nth = counts.entry(operation).or_default();
        *nth += 1;
        // The reads of the other functions are only counted.
        if effect.is_none() && *of != Of::Sweep {
            continue;
        }
        let (scene, of) = (format!("{scene:?}"), format!("{of:?}").to_lowercase());
        writeln!(lines, "{scene:<18}{of:<12}{service:<13}{nth:<3}{operation}")?;
    }
    Ok(lines)
}
