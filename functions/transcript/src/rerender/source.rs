//! Reads from S3 what a transcript is rendered from.

use job::{Receipt, time::Timestamp};
use pipeline::{
    bucket::{Bucket, body_interrupted, day_of},
    keys::{self, EVENTS, PARTICIPANTS},
    logs,
    manifest::Manifest,
    time,
};
use renditions::{
    Attendance, EventsReader, MeetingInfo, Outcome, Participants, ParticipantsReader, Presences, RecordingTimes,
    Summary, TranscriptReader,
};
use ring::digest::{Context, SHA256};

use super::RerenderError;
use crate::{copy::NO_BYTES, upload::hex};

/// The `rendering_error` of a file that a follow-up does not read again, if no other reason is known any more.
const NOT_READ: &str = "the copy of this transcript could not read the file";

/// A verbatim file whose bytes have arrived.
pub(super) struct VerbatimFile {
    /// `None` if the words are not read.
    reader: Option<TranscriptReader>,
    bytes: u64,
    /// The day under which its turns and its meeting are filed, from the metadata of the object.
    pub(super) day: Option<String>,
}

impl VerbatimFile {
    pub(super) fn finish(self, info: MeetingInfo, attendance: Attendance) -> Outcome {
        match self.reader {
            _ if self.bytes == 0 => Summary::unread(NO_BYTES.to_owned(), info, attendance),
            Some(reader) => reader.finish(info, attendance),
            None => Summary::unread(NOT_READ.to_owned(), info, attendance),
        }
    }
}

/// Fetches the verbatim file, and checks that it has the size and the checksum in the row. Its words are read only if
/// `times` are given.
pub(super) async fn read_transcript(
    bucket: &Bucket,
    receipt: &Receipt,
    times: Option<RecordingTimes>,
) -> Result<VerbatimFile, RerenderError> {
    let mut reader = times.map(TranscriptReader::new);
    let expected = Expected { key: &receipt.key, bytes: receipt.bytes, sha256: &receipt.sha256 };
    let take = |bytes: &[u8]| {
        if let Some(reader) = &mut reader {
            reader.push(bytes);
        }
    };
    let day = read(bucket, expected, take).await?;
    Ok(VerbatimFile { reader, bytes: receipt.bytes, day })
}

/// Returns the day under which the turns and the meeting are already filed. Under another day, SQL would find every
/// turn twice.
pub(super) fn day(manifest: &Manifest, of_verbatim: Option<String>) -> String {
    let filed = manifest.day().map(str::to_owned).or(of_verbatim);
    filed.unwrap_or_else(|| {
        let times = [manifest.recording.started_at.as_deref(), Some(&*manifest.stored_at)];
        keys::day(times.into_iter().flatten().find_map(Timestamp::parse_rfc3339).unwrap_or_else(time::now))
    })
}

/// Gathers what is known about the people: what was just fetched, what is kept in S3, and what the manifest says. Also
/// returns the names of the files that are gone or changed, perhaps because a person asked for that.
pub(super) async fn attendance(
    bucket: &Bucket,
    manifest: &Manifest,
    mut participants: Option<Participants>,
    mut presences: Option<Presences>,
) -> Result<(Attendance, Vec<&'static str>), RerenderError> {
    let mut lost = Vec::new();
    if participants.is_none() {
        let mut reader = ParticipantsReader::new();
        if read_kept(bucket, manifest, PARTICIPANTS, &mut lost, |bytes| reader.push(bytes)).await? {
            participants = noted(manifest, PARTICIPANTS, reader.finish());
        }
    }
    if presences.is_none() {
        let mut reader = EventsReader::new(manifest.recording.times());
        if read_kept(bucket, manifest, EVENTS, &mut lost, |bytes| reader.push(bytes)).await? {
            presences = noted(manifest, EVENTS, reader.finish());
        }
    }
    Ok((Attendance::new(participants, presences, Some(&manifest.meeting)), lost))
}

/// Reads a file that the manifest names. Returns whether there is one, and it is as it was stored.
async fn read_kept(
    bucket: &Bucket,
    manifest: &Manifest,
    name: &'static str,
    lost: &mut Vec<&'static str>,
    take: impl FnMut(&[u8]),
) -> Result<bool, RerenderError> {
    let Some(file) = manifest.files.iter().find(|file| file.name == name) else { return Ok(false) };
    match read(bucket, Expected { key: &file.key, bytes: file.bytes, sha256: &file.sha256 }, take).await {
        Ok(_) => Ok(true),
        Err(error) if error.may_pass() => Err(error),
        Err(error) => {
            noted::<()>(manifest, name, Err(error.to_string()));
            lost.push(name);
            Ok(false)
        }
    }
}

/// Notes that a file cannot be read.
fn noted<T>(manifest: &Manifest, file: &str, read: Result<T, String>) -> Option<T> {
    let note = |why| {
        tracing::warn!(
            message = logs::MEETING_FILE_NOT_READ,
            recording.id = %manifest.recording_id,
            transcript.id = %manifest.transcript_id,
            file,
            error = why
        );
    };
    read.map_err(note).ok()
}

/// An object as it was stored.
struct Expected<'a> {
    key: &'a str,
    bytes: u64,
    sha256: &'a str,
}

/// Reads an object, and checks that it is as it was stored. Returns the day in its metadata.
async fn read(
    bucket: &Bucket,
    Expected { key, bytes, sha256 }: Expected<'_>,
    mut take: impl FnMut(&[u8]),
) -> Result<Option<String>, RerenderError> {
    let gone = || RerenderError::Gone { key: key.to_owned() };
    let mut object = bucket.get(key).await?.ok_or_else(gone)?;
    let day = day_of(object.metadata());
    let (mut digest, mut length) = (Context::new(&SHA256), 0);
    while let Some(chunk) = object.body.next().await {
        let chunk = chunk.map_err(body_interrupted)?;
        length += chunk.len() as u64;
        digest.update(&chunk);
        take(&chunk);
    }
    if length == bytes && hex(digest.finish().as_ref()) == sha256 {
        Ok(day)
    } else {
        Err(RerenderError::Changed { key: key.to_owned() })
    }
}
