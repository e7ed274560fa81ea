"""Reads a stored transcript from the bucket with boto3, and compares it with its manifest."""

import hashlib
import json

TRANSCRIPTS = {f"transcript.{kind}" for kind in ("json", "txt", "md", "vtt", "srt", "html")}
LINES = {"turns.jsonl", "meetings.jsonl"}


def manifest_of(stack, recording_id):
    """Returns the recording's only manifest."""
    keys = [key for key in stack.objects() if key.startswith(f"recordings/{recording_id}/")]
    found = [key for key in keys if key.endswith("/manifest.json")]
    assert len(found) == 1, f"{recording_id} has the manifests {found}"
    return json.loads(stack.s3.get_object(Bucket=stack.outputs["BucketName"], Key=found[0])["Body"].read())


def check(stack, simulator, recording_id):
    """Checks that every file matches the manifest, and that Recall charged once. Returns the number of bytes."""
    manifest = manifest_of(stack, recording_id)
    recording = simulator.recording(recording_id)
    assert recording["creates"] == 1, f"{recording_id} was paid for {recording['creates']} times"
    assert [one["id"] for one in recording["transcripts"]] == [manifest["transcript_id"]], manifest
    facts = (manifest["schema"], manifest["recording_id"], manifest["rendering_error"])
    assert facts == (1, recording_id, None), manifest
    files = {file["name"]: file for file in manifest["files"]}
    # Converters refuse a SubRip file without cues, so an empty meeting has none.
    names = (TRANSCRIPTS - {"transcript.srt"} if manifest["empty"] else TRANSCRIPTS) | LINES
    if manifest["meeting"]["sources"]["participants"] == "stored":
        names.add("participants.json")
    assert set(files) == names, sorted(files)
    content = {}
    for name, file in files.items():
        answer = stack.s3.get_object(Bucket=stack.outputs["BucketName"], Key=file["key"])
        content[name] = answer["Body"].read()
        found = (len(content[name]), hashlib.sha256(content[name]).hexdigest(), answer["ContentType"])
        assert found == (file["bytes"], file["sha256"], file["content_type"]), f"{file['key']}: {found}, not {file}"
    verbatim = content["transcript.json"]
    assert len(verbatim) == recording["transcripts"][0]["bytes"], recording
    words = sum(len(turn["words"]) for turn in json.loads(verbatim))
    turns = [json.loads(line) for line in content["turns.jsonl"].splitlines()]
    (meeting,) = [json.loads(line) for line in content["meetings.jsonl"].splitlines()]
    assert meeting["title"] == manifest["meeting"]["title"], meeting
    assert words == manifest["counts"]["words"] == sum(turn["words"] for turn in turns), manifest["counts"]
    assert manifest["empty"] == (words == 0), manifest
    return sum(len(one) for one in content.values())
