//! What can happen to a job.

use std::time::Duration;

use crate::{
    Answer, Claim, CopyAnswer, CreateAnswer, DeleteAnswer, DeletionTarget, Event, ListedTranscript, LookUpAnswer,
    Notice, Overrides, RecordingAnswer, RecordingInfo, RenderAnswer, TranscriptRef,
    tests::{CLAIM, OTHER, OURS, done, receipt},
};

pub(super) fn events() -> Vec<Event> {
    let ours = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
    let other = TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false };
    let again = TranscriptRef { transcript_id: OTHER, attempt: Some(1), other_deployment: false };
    vec![
        done(),
        Event::RecordingDone(RecordingInfo::default()),
        Event::RecordingFailed { sub_code: None },
        Event::RecordingDeleted,
        Event::TranscriptProcessing(ours),
        Event::TranscriptDone(ours),
        Event::TranscriptFailed { reference: ours, sub_code: None },
        Event::TranscriptDeleted(ours),
        Event::TranscriptProcessing(other),
        Event::TranscriptDone(other),
        Event::TranscriptDone(again),
        Event::TranscriptFailed { reference: other, sub_code: None },
        Event::TranscriptDeleted(other),
        Event::WAKE,
        Event::Wake { now: true },
        Event::Retry { provider: None, after_attempt: 1 },
        Event::Retry { provider: None, after_attempt: 0 },
        Event::Render { transcript_id: None },
    ]
}

pub(super) fn answers() -> Vec<Answer> {
    let after = Duration::from_secs(30);
    let create = |answer| Answer::Create { attempt: 1, claim: CLAIM, answer };
    let look_up = |answer| Answer::LookUp { attempt: 1, claim: CLAIM, answer };
    let listed = |transcript_id, attempt, ended| ListedTranscript {
        transcript_id,
        attempt,
        ended,
        failed: false,
        other_deployment: false,
    };
    let list = |listed: &[ListedTranscript]| look_up(LookUpAnswer::Complete(listed.to_vec()));
    let delete = |answer| Answer::Delete { target: DeletionTarget::Transcript(OURS), claim: CLAIM, answer };
    let copy = |answer| Answer::Copy { transcript_id: OURS, claim: CLAIM, answer };
    let read = |answer| Answer::ReadRecording { claim: CLAIM, answer };
    let render = |answer| Answer::Render { claim: CLAIM, answer };
    vec![
        create(CreateAnswer::Created { transcript_id: OURS }),
        create(CreateAnswer::Created { transcript_id: OTHER }),
        create(CreateAnswer::InProgress),
        create(CreateAnswer::Lost),
        create(CreateAnswer::ServerError { after }),
        create(CreateAnswer::Throttled { after }),
        create(CreateAnswer::Operator { status: 402 }),
        create(CreateAnswer::Refused { status: 400, code: None }),
        Answer::Create { attempt: 1, claim: Claim(2), answer: CreateAnswer::Throttled { after } },
        create(CreateAnswer::Refused { status: 404, code: None }),
        list(&[listed(OURS, Some(1), false)]),
        list(&[listed(OURS, Some(1), true)]),
        list(&[listed(OURS, Some(1), true), listed(OTHER, Some(1), true)]),
        list(&[listed(OTHER, None, true)]),
        list(&[]),
        look_up(LookUpAnswer::Incomplete(vec![listed(OTHER, None, true)])),
        look_up(LookUpAnswer::Later { after }),
        look_up(LookUpAnswer::Operator),
        read(RecordingAnswer::Read(RecordingInfo {
            overrides: Some(Overrides::default()),
            ..RecordingInfo::default()
        })),
        read(RecordingAnswer::Failed { sub_code: None }),
        read(RecordingAnswer::Deleted),
        read(RecordingAnswer::Unknown),
        read(RecordingAnswer::Operator),
        read(RecordingAnswer::Later { after }),
        Answer::List(LookUpAnswer::Complete(vec![listed(OURS, Some(1), true)])),
        Answer::List(LookUpAnswer::Complete(Vec::new())),
        Answer::List(LookUpAnswer::Incomplete(vec![listed(OURS, Some(1), true)])),
        Answer::List(LookUpAnswer::Later { after }),
        copy(CopyAnswer::Stored(receipt())),
        copy(CopyAnswer::NotReady),
        copy(CopyAnswer::Failed { sub_code: None }),
        copy(CopyAnswer::Deleted),
        copy(CopyAnswer::Missing { recording_known: false }),
        copy(CopyAnswer::Missing { recording_known: true }),
        copy(CopyAnswer::Later { after }),
        copy(CopyAnswer::Operator),
        copy(CopyAnswer::Rejected),
        copy(CopyAnswer::RenditionsRefused),
        copy(CopyAnswer::RenditionsLate),
        copy(CopyAnswer::EmptyBody),
        Answer::Copy { transcript_id: OURS, claim: Claim(2), answer: CopyAnswer::Deleted },
        delete(DeleteAnswer::Deleted),
        delete(DeleteAnswer::Unverified),
        delete(DeleteAnswer::Others(vec![listed(OTHER, None, true)])),
        delete(DeleteAnswer::Others(vec![listed(OURS, Some(1), true)])),
        delete(DeleteAnswer::Later { after }),
        render(RenderAnswer::Rendered),
        render(RenderAnswer::NotAsStored),
        render(RenderAnswer::Later { after }),
        Answer::Announce { sent: vec![Notice::Stored { transcript_id: OURS }] },
        Answer::Announce { sent: Vec::new() },
        Answer::Wake { sent: true },
        Answer::Wake { sent: false },
    ]
}
