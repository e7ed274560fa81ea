//! How transcripts and recordings end. Every end is announced.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    model::Model,
    state::{Progress, Status},
};
use crate::wire::lock;

impl Model {
    /// Ends a transcription, unless it has ended. Returns the id of the message that announces it.
    pub(super) fn finish(self: &Arc<Self>, transcript: Uuid, outcome: Result<(), Option<String>>) -> Option<String> {
        let (status, sub_code) = match outcome {
            Ok(()) => (Status::Done, None),
            Err(sub_code) => (Status::Failed, sub_code),
        };
        {
            let mut state = lock(&self.state);
            let transcript = state.transcripts.get_mut(&transcript)?;
            if transcript.progress.status != Status::Processing {
                return None;
            }
            transcript.progress = Progress::now(status, sub_code);
        }
        self.changed();
        self.announce_transcript(transcript)
    }

    /// Deletes a transcript. Returns `false` if there is none.
    pub(super) fn delete_transcript(self: &Arc<Self>, id: Uuid) -> bool {
        {
            let mut state = lock(&self.state);
            let Some(transcript) = state.transcripts.get_mut(&id) else { return false };
            if transcript.progress.status == Status::Deleted {
                return false;
            }
            transcript.progress = Progress::now(Status::Deleted, None);
        }
        self.changed();
        self.announce_transcript(id);
        true
    }

    /// Deletes a recording and its transcripts. Returns `false` if there is none.
    pub(super) fn delete_recording(self: &Arc<Self>, id: Uuid) -> bool {
        let transcripts = {
            let mut state = lock(&self.state);
            let Some(recording) = state.recordings.get_mut(&id) else { return false };
            if recording.progress.status == Status::Deleted {
                return false;
            }
            recording.progress = Progress::now(Status::Deleted, None);
            recording.transcripts.clone()
        };
        for transcript in transcripts {
            self.delete_transcript(transcript);
        }
        self.changed();
        self.announce_recording(id);
        true
    }
}
