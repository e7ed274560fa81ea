//! Recall's lists, page by page.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use url::Url;

use super::{LATER, Problem, Recall, RecordingArtifact, TranscriptArtifact};
use crate::{
    ids::{RecordingId, TranscriptId},
    job::{Listed, LookUpAnswer},
    telemetry::Chain,
    time::Timestamp,
};

/// Pages of the list of one recording's transcripts. It has some ten; more pages than this are not a list of them.
const MAX_PAGES: u32 = 10;

/// Where a list of everything is taken up.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// At its beginning, with what was made since then.
    Since(Timestamp),
    /// Where the link of the page before leads.
    Next(&'a str),
}

/// One page of a list of everything.
#[derive(Debug)]
pub struct Listing<T> {
    pub found: Vec<T>,
    /// Entries that cannot be read. They must not hold up the others.
    pub unreadable: usize,
    /// Recall's link to the next page, as it came: it is checked when it is followed.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct Page<T> {
    next: Option<String>,
    results: Vec<T>,
}

impl Recall {
    /// Lists the recording's transcripts for the core, the oldest first. All pages together take no longer than
    /// `timeout`.
    pub async fn look_up(&self, recording_id: RecordingId, timeout: Duration) -> LookUpAnswer {
        let out_of_time = |_| Err(Problem::Later { after: LATER, status: None, source: None });
        match tokio::time::timeout(timeout, self.list_transcripts(recording_id)).await.unwrap_or_else(out_of_time) {
            Ok(all) => self.listed(recording_id, all),
            Err(problem) => unanswered(recording_id, &problem),
        }
    }

    /// Retrieves one of its transcripts for the core, as a list of one, or of none if it is gone. Unlike the list of
    /// all it does not lag.
    pub async fn look_up_one(&self, recording_id: RecordingId, id: TranscriptId) -> LookUpAnswer {
        match self.retrieve_transcript(id).await {
            Ok(transcript) => self.listed(recording_id, vec![transcript]),
            Err(Problem::NotFound) => LookUpAnswer::Listed(Vec::new()),
            Err(problem) => unanswered(recording_id, &problem),
        }
    }

    fn listed(&self, recording_id: RecordingId, mut all: Vec<TranscriptArtifact>) -> LookUpAnswer {
        all.retain(|transcript| transcript.status() != "deleted");
        // Those without a readable date sort last.
        all.sort_by_key(|one| one.made_at().unwrap_or(Timestamp::from_millis(i64::MAX)));
        let listed = all.iter().map(|transcript| Listed {
            transcript_id: transcript.id,
            attempt: transcript.attempt(recording_id, self.deployment()),
            ended: !transcript.is_processing(),
            failed: transcript.status() == "failed",
            foreign: transcript.is_foreign(recording_id, self.deployment()),
        });
        LookUpAnswer::Listed(listed.collect())
    }

    /// All transcripts of one recording.
    ///
    /// # Errors
    /// [`Problem`]; a list that is not complete is an error, because what is missing may have been paid for.
    pub async fn list_transcripts(&self, recording_id: RecordingId) -> Result<Vec<TranscriptArtifact>, Problem> {
        let mut path = format!("api/v1/transcript/?recording_id={recording_id}");
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let page: Page<TranscriptArtifact> = self.get(&path).await?;
            // Whatever the filter did: what belongs to another recording is not this one's.
            let of = |transcript: &TranscriptArtifact| transcript.recording_id().is_none_or(|of| of == recording_id);
            all.extend(page.results.into_iter().filter(of));
            let Some(next) = page.next else { return Ok(all) };
            path = followed("api/v1/transcript/", &next)?;
        }
        Err(Problem::Unexpected { status: 200, detail: format!("a list of more than {MAX_PAGES} pages") })
    }

    /// One page of all recordings that are done.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn list_recordings_page(&self, start: Start<'_>) -> Result<Listing<RecordingArtifact>, Problem> {
        self.listing("api/v1/recording/", "status_code=done&", start).await
    }

    /// One page of all transcripts, whatever became of them.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn list_transcripts_page(&self, start: Start<'_>) -> Result<Listing<TranscriptArtifact>, Problem> {
        self.listing("api/v1/transcript/", "", start).await
    }

    async fn listing<T: DeserializeOwned>(
        &self,
        list: &str,
        filter: &str,
        start: Start<'_>,
    ) -> Result<Listing<T>, Problem> {
        let path = match start {
            Start::Since(time) => format!("{list}?{filter}created_at_after={}", time.rfc3339()),
            Start::Next(link) => followed(list, link)?,
        };
        let page: Page<Box<RawValue>> = self.get(&path).await?;
        let entries = page.results.len();
        let found: Vec<T> = page.results.iter().filter_map(|entry| serde_json::from_str(entry.get()).ok()).collect();
        Ok(Listing { unreadable: entries - found.len(), found, next: page.next })
    }
}

fn unanswered(recording_id: RecordingId, problem: &Problem) -> LookUpAnswer {
    tracing::warn!(recording.id = %recording_id, error = %Chain(problem), "look_up.unanswered");
    LookUpAnswer::Later { after: problem.after() }
}

/// Where a list goes on. Of Recall's link only the query is taken, its cursor and our filters: the key goes nowhere but
/// to our own base URL, whatever host the link names (behind a proxy it is another one).
fn followed(list: &str, next: &str) -> Result<String, Problem> {
    let url: Option<Url> = next.parse().ok();
    let query = url.as_ref().and_then(Url::query);
    query
        .map(|query| format!("{list}?{query}"))
        .ok_or_else(|| Problem::Unexpected { status: 200, detail: "a page link without a cursor".to_owned() })
}
