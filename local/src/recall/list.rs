//! The two lists: filters, and pages by cursor. The newest entry comes first, because the order of Recall's lists is
//! not documented.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State as Shared},
    http::StatusCode,
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{
    answers,
    artifacts::{self, Look},
    model::Model,
    routes,
    state::{Progress, Recording, Status, Transcript},
};
use crate::wire::lock;

pub(super) async fn transcripts(Shared(model): Shared<Arc<Model>>, RawQuery(query): RawQuery) -> Response {
    let query = Query::new(query);
    let filters = match Filters::of(&query, &["processing", "done", "failed"]) {
        Ok(filters) => filters,
        Err(problem) => return answers::json(StatusCode::BAD_REQUEST, &problem),
    };
    let recording = match query.uuid("recording_id") {
        Ok(recording) => recording,
        Err(problem) => return answers::json(StatusCode::BAD_REQUEST, &problem),
    };
    let lag = model.clock.real(model.faults.lag());
    let state = lock(&model.state);
    let found: Vec<Transcript> = state
        .transcripts
        .values()
        .filter(|one| recording.is_none_or(|recording| one.recording == recording))
        .filter(|one| one.progress.status != Status::Deleted && one.created.elapsed() >= lag)
        .map(|one| as_of(one, lag))
        .filter(|one| filters.let_through(one.created_at, &one.progress))
        .collect();
    query.page(
        &model,
        routes::TRANSCRIPTS,
        found,
        |one| (one.created_at, one.order),
        |one| {
            let artifact = artifacts::transcript(&state, one, model.urls(one));
            let artifact = model.faults.transcript_shown(one.recording, one.id, artifact);
            model.faults.in_list(one.recording, Some(one.id), artifact)
        },
    )
}

/// Returns the transcript as a lagging list shows it: the end of a transcription arrives late.
fn as_of(transcript: &Transcript, lag: std::time::Duration) -> Transcript {
    let mut seen = transcript.clone();
    if seen.progress.updated.elapsed() < lag {
        seen.progress.status = Status::Processing;
        seen.progress.sub_code = None;
        seen.progress.updated_at = seen.created_at;
    }
    seen
}

pub(super) async fn recordings(Shared(model): Shared<Arc<Model>>, RawQuery(query): RawQuery) -> Response {
    let query = Query::new(query);
    let filters = match Filters::of(&query, &["processing", "paused", "done", "failed"]) {
        Ok(filters) => filters,
        Err(problem) => return answers::json(StatusCode::BAD_REQUEST, &problem),
    };
    let (bot, upload) = match (query.uuid("bot_id"), query.uuid("desktop_sdk_upload_id")) {
        (Ok(bot), Ok(upload)) => (bot, upload),
        (Err(problem), _) | (_, Err(problem)) => return answers::json(StatusCode::BAD_REQUEST, &problem),
    };
    let state = lock(&model.state);
    let found: Vec<Recording> = state
        .recordings
        .values()
        .filter(|one| one.progress.status != Status::Deleted && upload.is_none())
        .filter(|one| bot.is_none_or(|bot| one.bot == Some(bot)))
        .filter(|one| query.metadata().all(|(key, value)| one.metadata.get(key).is_some_and(|known| known == value)))
        .filter(|one| filters.let_through(one.created_at, &one.progress))
        .cloned()
        .collect();
    query.page(
        &model,
        routes::RECORDINGS,
        found,
        |one| (one.created_at, one.order),
        |one| {
            let artifact = artifacts::recording(&model, &state, one, Look::InPassing);
            let artifact = model.faults.recording_shown(one.id, artifact);
            model.faults.in_list(one.id, None, artifact)
        },
    )
}

/// The filters that both lists have.
struct Filters {
    after: Option<OffsetDateTime>,
    before: Option<OffsetDateTime>,
    status: Option<String>,
}

impl Filters {
    fn of(query: &Query, statuses: &[&str]) -> Result<Self, Value> {
        let status = query.get("status_code").map(str::to_owned);
        if let Some(wrong) = status.as_deref().filter(|status| !statuses.contains(status)) {
            return Err(json!({"status_code": [format!("\"{wrong}\" is not a valid choice.")]}));
        }
        Ok(Self { after: query.time("created_at_after")?, before: query.time("created_at_before")?, status })
    }

    fn let_through(&self, created_at: OffsetDateTime, progress: &Progress) -> bool {
        self.after.is_none_or(|after| created_at >= after)
            && self.before.is_none_or(|before| created_at <= before)
            && self.status.as_deref().is_none_or(|status| progress.status.as_str() == status)
    }
}

/// The position of an entry in its list.
type Place = (OffsetDateTime, u64);

struct Query(Vec<(String, String)>);

impl Query {
    fn new(query: Option<String>) -> Self {
        Self(url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    fn uuid(&self, name: &str) -> Result<Option<Uuid>, Value> {
        self.get(name).map(str::parse).transpose().map_err(|_| json!({name: ["Enter a valid UUID."]}))
    }

    fn time(&self, name: &str) -> Result<Option<OffsetDateTime>, Value> {
        let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339);
        self.get(name).map(parse).transpose().map_err(|_| json!({name: ["Enter a valid date/time."]}))
    }

    /// Returns the pairs of `metadata__KEY=VALUE`.
    fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(key, value)| Some((key.strip_prefix("metadata__")?, value.as_str())))
    }

    /// Returns the page at the cursor, with links to its neighbors.
    fn page<T>(
        &self,
        model: &Model,
        path: &str,
        mut found: Vec<T>,
        place: impl Fn(&T) -> Place,
        show: impl Fn(&T) -> Value,
    ) -> Response {
        found.sort_by_key(|one| std::cmp::Reverse(place(one)));
        let size = model.limits.page_size;
        let start = match self.get("cursor").map(Cursor::read) {
            None => 0,
            Some(None) => return answers::json(StatusCode::NOT_FOUND, &json!({"detail": "Invalid cursor"})),
            Some(Some(Cursor::After(last))) => found.partition_point(|one| place(one) >= last),
            Some(Some(Cursor::Before(first))) => found.partition_point(|one| place(one) > first).saturating_sub(size),
        };
        let end = (start + size).min(found.len());
        let page = &found[start..end];
        let link = |cursor: Option<Cursor>| cursor.map(|cursor| self.link(&model.base_url, path, cursor));
        let next = page.last().filter(|_| end < found.len()).map(|last| Cursor::After(place(last)));
        let previous = page.first().filter(|_| start > 0).map(|first| Cursor::Before(place(first)));
        let results: Vec<Value> = page.iter().map(show).collect();
        let next = link(next).map(|next| match model.faults.strike_link() {
            true => model.elsewhere(&next),
            false => next,
        });
        answers::json(StatusCode::OK, &json!({"next": next, "previous": link(previous), "results": results}))
    }

    /// Returns the URL of the same list with all its filters, at another cursor.
    fn link(&self, base_url: &str, path: &str, cursor: Cursor) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(key, _)| key != "cursor"));
        format!("{base_url}{path}?{}", query.append_pair("cursor", &cursor.write()).finish())
    }
}

/// A position between two entries, so that a page stays the same when newer entries arrive.
enum Cursor {
    After(Place),
    Before(Place),
}

impl Cursor {
    fn write(&self) -> String {
        let (way, (time, order)) = match self {
            Self::After(place) => ("after", place),
            Self::Before(place) => ("before", place),
        };
        BASE64_URL_SAFE_NO_PAD.encode(format!("{way} {} {order}", time.unix_timestamp_nanos()))
    }

    fn read(text: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.split(' ');
        let (way, time, order) = (parts.next()?, parts.next()?, parts.next()?);
        let place = (OffsetDateTime::from_unix_timestamp_nanos(time.parse().ok()?).ok()?, order.parse().ok()?);
        match way {
            "after" => Some(Self::After(place)),
            "before" => Some(Self::Before(place)),
            _ => None,
        }
    }
}
