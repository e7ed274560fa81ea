//! Recall's lists, page by page.

use std::time::Duration;

use job::{
    ListedTranscript, LookUpAnswer, RecordingPresence,
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use url::Url;

use super::{Problem, Recall, RecordingArtifact, TranscriptArtifact, attempt_of, is_of_other_deployment};
use crate::{logs, metrics, telemetry::Chain};

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

/// One page of a list of everything, without the entries that cannot be read.
#[derive(Debug)]
pub struct Listing<T> {
    pub found: Vec<T>,
    /// Recall's link to the next page, as it came: it is checked when it is followed.
    pub next: Option<String>,
}

/// One page, whose entries are read one by one: one that cannot be read does not hold up the others.
#[derive(Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "link")]
    next: Option<String>,
    results: Vec<Box<RawValue>>,
}

/// Text, or nothing. Whatever else is there leads nowhere, but it is not the end of the list.
fn link<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(link) => Some(link),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(String::new()),
    })
}

/// What shows that a transcript exists, in an entry that cannot be read as one.
#[derive(Deserialize)]
struct Trace {
    id: TranscriptId,
    #[serde(default)]
    recording: Option<Box<RawValue>>,
    #[serde(default)]
    metadata: Option<Box<RawValue>>,
}

impl Trace {
    /// The recording it says it belongs to.
    fn recording_id(&self) -> Option<RecordingId> {
        #[derive(Deserialize)]
        struct Reference {
            id: RecordingId,
        }
        serde_json::from_str::<Reference>(self.recording.as_ref()?.get()).ok().map(|recording| recording.id)
    }

    fn metadata(&self) -> Value {
        self.metadata.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }
}

/// What a recording's list of transcripts holds.
#[derive(Default)]
struct Transcripts {
    found: Vec<TranscriptArtifact>,
    /// Known by their ids only.
    traces: Vec<Trace>,
    /// There may be more: entries without an id, pages that cannot be reached.
    incomplete: bool,
}

impl Transcripts {
    /// Takes in what is this recording's, whatever the list's filter did. How many entries cannot be read.
    fn take_in(&mut self, entries: &[Box<RawValue>], recording_id: RecordingId) -> usize {
        let is_of = |of: Option<RecordingId>| of.is_none_or(|of| of == recording_id);
        let mut unreadable = 0;
        for entry in entries {
            if let Ok(transcript) = serde_json::from_str::<TranscriptArtifact>(entry.get()) {
                self.found.extend(Some(transcript).filter(|one| is_of(one.recording_id())));
                continue;
            }
            unreadable += 1;
            match serde_json::from_str::<Trace>(entry.get()) {
                Ok(trace) => self.traces.extend(Some(trace).filter(|one| is_of(one.recording_id()))),
                Err(_) => self.incomplete = true,
            }
        }
        unreadable
    }
}

impl Recall {
    /// Lists the recording's transcripts for the core, the oldest first. An empty list says nothing by itself: a key of
    /// another workspace gets one, too. It counts only if the same key can retrieve the recording. All calls together take
    /// no longer than `timeout`.
    pub async fn look_up(&self, recording_id: RecordingId, timeout: Duration) -> LookUpAnswer {
        let look_up = async {
            let answer = self.listed(recording_id, self.list_transcripts(recording_id).await?);
            let is_empty = matches!(&answer, LookUpAnswer::Complete(listed) if listed.is_empty());
            if is_empty && self.presence(recording_id).await == RecordingPresence::Unknown {
                return Err(Problem::NotFound);
            }
            Ok(answer)
        };
        let out_of_time = |_| Err(Problem::Later { after: None, status: None, source: None });
        let answer = tokio::time::timeout(timeout, look_up).await.unwrap_or_else(out_of_time);
        answer.unwrap_or_else(|problem| unanswered(recording_id, &problem))
    }

    /// Retrieves one of its transcripts for the core, as a list of one, or of none if it is gone. Unlike the list of
    /// all it does not lag.
    pub async fn look_up_one(&self, recording_id: RecordingId, id: TranscriptId) -> LookUpAnswer {
        match self.retrieve_transcript(id).await {
            Ok(transcript) => {
                self.listed(recording_id, Transcripts { found: vec![transcript], ..Transcripts::default() })
            }
            Err(Problem::NotFound) => LookUpAnswer::Complete(Vec::new()),
            Err(problem) => unanswered(recording_id, &problem),
        }
    }

    fn listed(&self, recording_id: RecordingId, transcripts: Transcripts) -> LookUpAnswer {
        let Transcripts { mut found, traces, incomplete } = transcripts;
        found.retain(|transcript| transcript.status() != "deleted");
        // Those without a readable date sort last.
        found.sort_by_key(|one| one.made_at().unwrap_or(Timestamp::from_millis(i64::MAX)));
        let readable = found.iter().map(|transcript| ListedTranscript {
            transcript_id: transcript.id,
            attempt: transcript.attempt(recording_id, self.deployment()),
            ended: !transcript.is_processing(),
            failed: transcript.status() == "failed",
            other_deployment: transcript.is_of_other_deployment(recording_id, self.deployment()),
        });
        // What became of these is not known, so they are looked at as if it were time.
        let traces = traces.iter().map(|trace| ListedTranscript {
            transcript_id: trace.id,
            attempt: attempt_of(&trace.metadata(), recording_id, self.deployment()),
            ended: true,
            failed: false,
            other_deployment: is_of_other_deployment(&trace.metadata(), recording_id, self.deployment()),
        });
        let listed = readable.chain(traces).collect();
        if incomplete { LookUpAnswer::Incomplete(listed) } else { LookUpAnswer::Complete(listed) }
    }

    /// All transcripts of one recording.
    async fn list_transcripts(&self, recording_id: RecordingId) -> Result<Transcripts, Problem> {
        let mut path = format!("api/v1/transcript/?recording_id={recording_id}");
        let mut all = Transcripts::default();
        for _ in 0..MAX_PAGES {
            let page: Page = self.get(&path).await?;
            count_unreadable("look_up", all.take_in(&page.results, recording_id));
            let Some(next) = page.next else { return Ok(all) };
            path = match followed("api/v1/transcript/", &next) {
                Ok(path) => path,
                Err(error) => {
                    tracing::error!(message = logs::LOOK_UP_TRUNCATED, recording.id = %recording_id, error = %Chain(&error));
                    return Ok(Transcripts { incomplete: true, ..all });
                }
            };
        }
        tracing::error!(message = logs::LOOK_UP_TRUNCATED, recording.id = %recording_id, pages = MAX_PAGES);
        Ok(Transcripts { incomplete: true, ..all })
    }

    /// One page of all recordings that are done.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn list_recordings_page(&self, start: Start<'_>) -> Result<Listing<RecordingArtifact>, Problem> {
        self.listing("recordings", "api/v1/recording/", "status_code=done&", start).await
    }

    /// One page of all transcripts, whatever became of them.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn list_transcripts_page(&self, start: Start<'_>) -> Result<Listing<TranscriptArtifact>, Problem> {
        self.listing("transcripts", "api/v1/transcript/", "", start).await
    }

    async fn listing<T: DeserializeOwned>(
        &self,
        name: &str,
        list: &str,
        filter: &str,
        start: Start<'_>,
    ) -> Result<Listing<T>, Problem> {
        let path = match start {
            Start::Since(time) => format!("{list}?{filter}created_at_after={}", time.rfc3339()),
            Start::Next(link) => followed(list, link)?,
        };
        let page: Page = self.get(&path).await?;
        let entries = page.results.len();
        let found: Vec<T> = page.results.iter().filter_map(|entry| serde_json::from_str(entry.get()).ok()).collect();
        count_unreadable(name, entries - found.len());
        Ok(Listing { found, next: page.next })
    }
}

/// `list`: the word for metrics.
fn count_unreadable(list: &str, entries: usize) {
    if entries > 0 {
        tracing::error!(message = logs::LIST_ENTRIES_SKIPPED, list, entries);
        metrics::ENTRIES_UNREADABLE.record(u64::try_from(entries).unwrap_or(u64::MAX), list);
    }
}

fn unanswered(recording_id: RecordingId, problem: &Problem) -> LookUpAnswer {
    tracing::warn!(message = logs::LOOK_UP_NOT_ANSWERED, recording.id = %recording_id, error = %Chain(problem));
    match problem {
        Problem::Operator { .. } => LookUpAnswer::Operator,
        Problem::NotFound | Problem::Later { .. } | Problem::Unexpected { .. } | Problem::Secret(_) => {
            LookUpAnswer::Later { after: problem.retry_after() }
        }
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OURS: RecordingId = RecordingId::from_u128(1);
    const THEIRS: RecordingId = RecordingId::from_u128(2);

    fn id(number: u128) -> TranscriptId {
        TranscriptId::from_u128(number)
    }

    fn entry(number: u128, recording: RecordingId) -> Value {
        json!({
            "id": id(number), "recording": {"id": recording}, "status": {"code": "done"},
            "metadata": {"job": recording, "attempt": number.to_string()},
        })
    }

    /// With a member that is there twice, which no reader of ours takes.
    fn doubled(entry: &Value) -> String {
        entry.to_string().replacen('{', "{\"provider\": 1, \"provider\": 2, ", 1)
    }

    fn taken_in(entries: &[String]) -> (Transcripts, usize) {
        let page = format!("{{\"results\": [{}]}}", entries.join(","));
        let page: Page = serde_json::from_str(&page).expect("a page");
        let mut all = Transcripts::default();
        let unreadable = all.take_in(&page.results, OURS);
        (all, unreadable)
    }

    #[test]
    fn what_cannot_be_read_is_known_by_its_id() {
        let entries = [entry(1, OURS).to_string(), doubled(&entry(2, OURS)), doubled(&entry(3, THEIRS))];
        let (all, unreadable) = taken_in(&entries);
        assert_eq!((all.found.len(), all.traces.len(), unreadable), (1, 1, 2));
        assert!(!all.incomplete, "nothing is missing");
        let trace = &all.traces[0];
        assert_eq!((trace.id, attempt_of(&trace.metadata(), OURS, None)), (id(2), Some(2)));
    }

    #[test]
    fn what_has_no_id_may_be_anything() {
        let without = |id: Value| {
            let mut entry = entry(1, OURS);
            entry["id"] = id;
            entry.to_string()
        };
        for odd in ["null".to_owned(), "7".to_owned(), "[]".to_owned(), without(json!("x")), without(json!(null))] {
            let (all, unreadable) = taken_in(&[odd.clone(), entry(2, OURS).to_string()]);
            assert_eq!((all.found.len(), all.traces.len(), unreadable, all.incomplete), (1, 0, 1, true), "{odd}");
        }
    }

    #[test]
    fn a_link_that_is_no_text_is_not_the_end_of_the_list() {
        let next =
            |next: &str| serde_json::from_str::<Page>(&format!("{{{next}\"results\": []}}")).expect("a page").next;
        assert_eq!(next(""), None);
        assert_eq!(next("\"next\": null, "), None);
        assert_eq!(next("\"next\": \"https://x/?cursor=c\", ").as_deref(), Some("https://x/?cursor=c"));
        for odd in ["5", "{}", "[1]", "true", "\"\""] {
            let link = next(&format!("\"next\": {odd}, "));
            assert!(link.is_some_and(|link| followed("list", &link).is_err()), "{odd}");
        }
    }
}
