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

/// How many pages a look-up reads. A recording has about ten transcripts, so a list with more pages is a list of
/// something else.
const MAX_LOOK_UP_PAGES: u32 = 10;

/// Where to read a page of a workspace's list.
#[derive(Clone, Copy, Debug)]
pub enum PageStart<'a> {
    /// At the beginning of the list of the objects that were created since then.
    Since(Timestamp),
    /// At the link of the previous page.
    Next(&'a str),
}

/// One page of a workspace's list, without the entries that cannot be read.
#[derive(Debug)]
pub struct ListPage<T> {
    pub entries: Vec<T>,
    /// Recall's link to the next page, as Recall sent it. [`PageStart::Next`] takes it and checks it.
    pub next: Option<String>,
}

/// One page as Recall sends it. Its entries are read one by one, so that an unreadable entry does not affect the
/// others.
#[derive(Deserialize)]
struct RawPage {
    #[serde(default, deserialize_with = "next_link")]
    next: Option<String>,
    results: Vec<Box<RawValue>>,
}

/// Reads a link. A value of another type is not the end of the list, so it becomes a link that [`next_path`] rejects.
fn next_link<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(link) => Some(link),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(String::new()),
    })
}

/// The parts of an unreadable entry that show that a transcript exists.
#[derive(Deserialize)]
struct TranscriptStub {
    id: TranscriptId,
    #[serde(default)]
    recording: Option<Box<RawValue>>,
    #[serde(default)]
    metadata: Option<Box<RawValue>>,
}

impl TranscriptStub {
    /// Returns the recording that this transcript says it belongs to.
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

/// The transcripts of one recording.
#[derive(Default)]
struct RecordingTranscripts {
    readable: Vec<TranscriptArtifact>,
    /// Transcripts of which little more than the id is known.
    stubs: Vec<TranscriptStub>,
    /// There may be more transcripts, because an entry has no id or a page could not be read.
    incomplete: bool,
}

impl RecordingTranscripts {
    /// Adds the entries that belong to this recording, because Recall may ignore the filter of the list. Returns how
    /// many entries cannot be read.
    fn add(&mut self, entries: &[Box<RawValue>], recording_id: RecordingId) -> usize {
        let belongs = |stated: Option<RecordingId>| stated.is_none_or(|stated| stated == recording_id);
        let mut unreadable = 0;
        for entry in entries {
            if let Ok(transcript) = serde_json::from_str::<TranscriptArtifact>(entry.get()) {
                if belongs(transcript.recording_id()) {
                    self.readable.push(transcript);
                }
                continue;
            }
            unreadable += 1;
            match serde_json::from_str::<TranscriptStub>(entry.get()) {
                Ok(stub) if belongs(stub.recording_id()) => self.stubs.push(stub),
                Ok(_) => {}
                Err(_) => self.incomplete = true,
            }
        }
        unreadable
    }
}

impl Recall {
    /// Lists the transcripts of a recording for the core, the oldest first. An empty list proves nothing by itself,
    /// because a key of another workspace gets one as well. It counts only if the same key can retrieve the recording.
    /// All calls together take no longer than `timeout`.
    pub async fn look_up(&self, recording_id: RecordingId, timeout: Duration) -> LookUpAnswer {
        let calls = async {
            let answer = self.look_up_answer(recording_id, self.list_transcripts(recording_id).await?);
            let is_empty = matches!(&answer, LookUpAnswer::Complete(listed) if listed.is_empty());
            if is_empty && self.presence(recording_id).await == RecordingPresence::Unknown {
                return Err(Problem::NotFound);
            }
            Ok(answer)
        };
        let out_of_time = |_| Err(Problem::Later { after: None, status: None, source: None });
        let answer = tokio::time::timeout(timeout, calls).await.unwrap_or_else(out_of_time);
        answer.unwrap_or_else(|problem| failed_look_up(recording_id, &problem))
    }

    /// Retrieves one transcript of a recording for the core. The answer is a list of one transcript, or an empty list
    /// if the transcript is gone. Unlike the list of all transcripts, this call always sees the latest state.
    pub async fn look_up_one(&self, recording_id: RecordingId, id: TranscriptId) -> LookUpAnswer {
        match self.retrieve_transcript(id).await {
            Ok(transcript) => {
                let transcripts =
                    RecordingTranscripts { readable: vec![transcript], ..RecordingTranscripts::default() };
                self.look_up_answer(recording_id, transcripts)
            }
            Err(Problem::NotFound) => LookUpAnswer::Complete(Vec::new()),
            Err(problem) => failed_look_up(recording_id, &problem),
        }
    }

    fn look_up_answer(&self, recording_id: RecordingId, transcripts: RecordingTranscripts) -> LookUpAnswer {
        let RecordingTranscripts { mut readable, stubs, incomplete } = transcripts;
        readable.retain(|transcript| transcript.status() != "deleted");
        // Transcripts without a readable date are last.
        readable.sort_by_key(|transcript| transcript.created_at().unwrap_or(Timestamp::from_millis(i64::MAX)));
        let readable = readable.iter().map(|transcript| ListedTranscript {
            transcript_id: transcript.id,
            attempt: transcript.attempt(recording_id, self.deployment()),
            ended: !transcript.is_processing(),
            failed: transcript.status() == "failed",
            other_deployment: transcript.is_of_other_deployment(recording_id, self.deployment()),
        });
        // The status of a stub is unknown. Reporting it as ended makes the core look at the transcript now.
        let stubs = stubs.iter().map(|stub| ListedTranscript {
            transcript_id: stub.id,
            attempt: attempt_of(&stub.metadata(), recording_id, self.deployment()),
            ended: true,
            failed: false,
            other_deployment: is_of_other_deployment(&stub.metadata(), recording_id, self.deployment()),
        });
        let listed = readable.chain(stubs).collect();
        if incomplete { LookUpAnswer::Incomplete(listed) } else { LookUpAnswer::Complete(listed) }
    }

    /// Lists all transcripts of one recording.
    async fn list_transcripts(&self, recording_id: RecordingId) -> Result<RecordingTranscripts, Problem> {
        let mut path = format!("api/v1/transcript/?recording_id={recording_id}");
        let mut all = RecordingTranscripts::default();
        for _ in 0..MAX_LOOK_UP_PAGES {
            let page: RawPage = self.get(&path).await?;
            count_unreadable("look_up", all.add(&page.results, recording_id));
            let Some(next) = page.next else { return Ok(all) };
            path = match next_path("api/v1/transcript/", &next) {
                Ok(path) => path,
                Err(error) => {
                    tracing::error!(
                        message = logs::LOOK_UP_TRUNCATED,
                        recording.id = %recording_id,
                        error = %Chain(&error),
                    );
                    return Ok(RecordingTranscripts { incomplete: true, ..all });
                }
            };
        }
        tracing::error!(message = logs::LOOK_UP_TRUNCATED, recording.id = %recording_id, pages = MAX_LOOK_UP_PAGES);
        Ok(RecordingTranscripts { incomplete: true, ..all })
    }

    /// Reads one page of the list of all recordings that are done.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn list_recordings_page(&self, start: PageStart<'_>) -> Result<ListPage<RecordingArtifact>, Problem> {
        self.list_page("recordings", "api/v1/recording/", "status_code=done&", start).await
    }

    /// Reads one page of the list of all transcripts, whatever their status.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn list_transcripts_page(&self, start: PageStart<'_>) -> Result<ListPage<TranscriptArtifact>, Problem> {
        self.list_page("transcripts", "api/v1/transcript/", "", start).await
    }

    async fn list_page<T: DeserializeOwned>(
        &self,
        name: &str,
        list: &str,
        filter: &str,
        start: PageStart<'_>,
    ) -> Result<ListPage<T>, Problem> {
        let path = match start {
            PageStart::Since(time) => format!("{list}?{filter}created_at_after={}", time.rfc3339()),
            PageStart::Next(link) => next_path(list, link)?,
        };
        let page: RawPage = self.get(&path).await?;
        let entries: Vec<T> = page.results.iter().filter_map(|entry| serde_json::from_str(entry.get()).ok()).collect();
        count_unreadable(name, page.results.len() - entries.len());
        Ok(ListPage { entries, next: page.next })
    }
}

/// Logs and counts unreadable entries. `list` is the name of the list in metrics.
fn count_unreadable(list: &str, entries: usize) {
    if entries > 0 {
        tracing::error!(message = logs::LIST_ENTRIES_SKIPPED, list, entries);
        metrics::ENTRIES_UNREADABLE.record(u64::try_from(entries).unwrap_or(u64::MAX), list);
    }
}

fn failed_look_up(recording_id: RecordingId, problem: &Problem) -> LookUpAnswer {
    tracing::warn!(message = logs::LOOK_UP_NOT_ANSWERED, recording.id = %recording_id, error = %Chain(problem));
    match problem {
        Problem::Operator { .. } => LookUpAnswer::Operator,
        Problem::NotFound | Problem::Later { .. } | Problem::Unexpected { .. } | Problem::Secret(_) => {
            LookUpAnswer::Later { after: problem.retry_after() }
        }
    }
}

/// Returns the path of the next page of a list. It takes only the query of Recall's link, with its cursor and our
/// filters, so that the key is sent only to our own base URL. Behind a proxy, the link names another host.
fn next_path(list: &str, next: &str) -> Result<String, Problem> {
    let url: Option<Url> = next.parse().ok();
    let query = url.as_ref().and_then(Url::query);
    query
        .map(|query| format!("{list}?{query}"))
        .ok_or_else(|| Problem::Unexpected { status: 200, detail: "the link to the next page has no query".to_owned() })
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

    /// Returns the entry with a duplicate field, which our reader rejects.
    fn unreadable(entry: &Value) -> String {
        entry.to_string().replacen('{', "{\"provider\": 1, \"provider\": 2, ", 1)
    }

    fn added(entries: &[String]) -> (RecordingTranscripts, usize) {
        let page = format!("{{\"results\": [{}]}}", entries.join(","));
        let page: RawPage = serde_json::from_str(&page).expect("a page");
        let mut all = RecordingTranscripts::default();
        let unreadable = all.add(&page.results, OURS);
        (all, unreadable)
    }

    #[test]
    fn unreadable_entry_is_known_by_its_id() {
        let entries = [entry(1, OURS).to_string(), unreadable(&entry(2, OURS)), unreadable(&entry(3, THEIRS))];
        let (all, unreadable) = added(&entries);
        assert_eq!((all.readable.len(), all.stubs.len(), unreadable), (1, 1, 2));
        assert!(!all.incomplete, "nothing is missing");
        let stub = &all.stubs[0];
        assert_eq!((stub.id, attempt_of(&stub.metadata(), OURS, None)), (id(2), Some(2)));
    }

    #[test]
    fn entry_without_an_id_makes_the_list_incomplete() {
        let with_id = |id: Value| {
            let mut entry = entry(1, OURS);
            entry["id"] = id;
            entry.to_string()
        };
        for odd in ["null".to_owned(), "7".to_owned(), "[]".to_owned(), with_id(json!("x")), with_id(json!(null))] {
            let (all, unreadable) = added(&[odd.clone(), entry(2, OURS).to_string()]);
            assert_eq!((all.readable.len(), all.stubs.len(), unreadable, all.incomplete), (1, 0, 1, true), "{odd}");
        }
    }

    #[test]
    fn link_that_is_not_text_is_not_the_end_of_the_list() {
        let next =
            |field: &str| serde_json::from_str::<RawPage>(&format!("{{{field}\"results\": []}}")).expect("a page").next;
        assert_eq!(next(""), None);
        assert_eq!(next("\"next\": null, "), None);
        assert_eq!(next("\"next\": \"https://x/?cursor=c\", ").as_deref(), Some("https://x/?cursor=c"));
        for odd in ["5", "{}", "[1]", "true", "\"\""] {
            let link = next(&format!("\"next\": {odd}, "));
            assert!(link.is_some_and(|link| next_path("list", &link).is_err()), "{odd}");
        }
    }
}
