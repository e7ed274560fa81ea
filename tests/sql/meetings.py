"""Meetings in a folder that is laid out as the bucket is, and what was said in them, counted from Recall's own JSON."""

import datetime
import json
import math
import os
import pathlib
import unicodedata
import uuid
from dataclasses import dataclass

FIXTURES = pathlib.Path(__file__).parents[2] / "functions/transcript/src/render/fixtures"
# A silence this long ends a turn, and so does a jump this far backwards.
PAUSE_MS = 3000
DAY = datetime.timedelta(days=1)


@dataclass
class Turn:
    """What one speaker says without a pause. Times in milliseconds, or None."""

    speaker_id: int | None
    speaker: str
    is_host: bool
    start: int | None
    end: int | None
    words: int
    texts: list

    @property
    def talk(self):
        return None if self.start is None else self.end - self.start

    @property
    def who(self):
        return self.speaker_id, self.speaker


@dataclass
class Meeting:
    date: str
    recording_id: str
    transcript_id: str
    stored_at: str
    path: pathlib.Path
    lines: list
    turns: list

    @property
    def key(self):
        return self.date, self.recording_id, self.transcript_id


def add_fixtures(bucket):
    """Files the fixtures of the renditions, one meeting a day from 2026-11-02, but one in October."""
    folders = sorted(folder for folder in FIXTURES.iterdir() if (folder / "transcript.json").exists())
    for number, folder in enumerate(folders):
        date = "2026-10-15" if folder.name == "captions" else str(datetime.date(2026, 11, 2) + number * DAY)
        _add(bucket, folder, date, recording=1000 + number, transcript=2000 + number, stored_hour=12)
    # One recording has a second transcript, which is newer.
    number = folders.index(FIXTURES / "meeting")
    date = str(datetime.date(2026, 11, 2) + number * DAY)
    _add(bucket, FIXTURES / "punctuation", date, recording=1000 + number, transcript=1, stored_hour=15)
    # Two people of one name speak in turn.
    _add(bucket, FIXTURES / "meeting", "2026-11-20", 3000, 4000, stored_hour=12, rename=("Bob", "Ann"))


def _add(bucket, fixture, date, recording, transcript, stored_hour, rename=("", "")):
    recording_id, transcript_id = str(uuid.UUID(int=recording)), str(uuid.UUID(int=transcript))
    # An empty one has no file there.
    rendition = fixture / "transcript.jsonl"
    lines = [json.loads(line) for line in rendition.read_text().splitlines()] if rendition.exists() else []
    for line in lines:
        line.update(recording_id=recording_id, transcript_id=transcript_id)
        line["speaker"] = line["speaker"].replace(*rename)
        if line["started_at"]:
            line["started_at"] = date + line["started_at"][10:]
    key = f"turns/date={date}/{transcript_id}.jsonl"
    manifest = {
        "recording_id": recording_id,
        "transcript_id": transcript_id,
        "stored_at": f"{date}T{stored_hour}:00:00.000Z",
        "files": [{"name": "turns.jsonl", "key": key}],
    }
    folder = bucket / "recordings" / recording_id / transcript_id
    for path in (folder, (bucket / key).parent):
        path.mkdir(parents=True, exist_ok=True)
    verbatim = (fixture / "transcript.json").read_text()
    names = (f'"name": "{name}"' for name in rename)
    (folder / "transcript.json").write_text(verbatim.replace(*names))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (bucket / key).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    written = datetime.datetime.fromisoformat(manifest["stored_at"]).timestamp()
    os.utime(bucket / key, (written, written))


def load(bucket):
    """All meetings in the folder, as their manifests name them."""
    meetings = []
    for path in sorted(bucket.glob("recordings/*/*/manifest.json")):
        manifest = json.loads(path.read_text())
        (key,) = [file["key"] for file in manifest["files"] if file["name"] == "turns.jsonl"]
        lines = [json.loads(line) for line in (bucket / key).read_text().splitlines()]
        entries = json.loads((path.parent / "transcript.json").read_text())
        meetings.append(
            Meeting(
                date=key.split("date=")[1][:10],
                recording_id=manifest["recording_id"],
                transcript_id=manifest["transcript_id"],
                stored_at=manifest["stored_at"],
                path=bucket / key,
                lines=lines,
                turns=_turns(entries, lines),
            )
        )
    return meetings


def _turns(entries, lines):
    """The turns, from Recall's words alone but for one thing: where a long turn is cut is taken from the lines."""
    words = [word for entry in entries for word in entry["words"]]
    if any(_millis(word, "start") is None or _millis(word, "end") is None for word in words):
        # How missing times are filled in is tested where it is done.
        return [_as_written(line) for line in lines]
    cuts = {(line["speaker_id"], line["speaker"], round(line["start_s"] * 1000)) for line in lines}
    names, hosts, turns = {}, {}, []
    for entry in entries:
        identity, name, is_host = _participant(entry)
        key = name if identity is None else identity
        names[key] = names.get(key) or name
        hosts[key] = hosts.get(key) or is_host
    for entry in entries:
        identity, name, _ = _participant(entry)
        key = name if identity is None else identity
        speaker = names[key] or ("Unknown speaker" if identity is None else f"Speaker {identity}")
        identity = identity if isinstance(identity, int) else None
        turn = None
        for start, end, text in _settled(entry["words"]):
            paused = turn and abs(start - last_end) >= PAUSE_MS
            # Where several words start at once, the first of them begins the turn.
            cut = (identity, speaker, start) in cuts and not (turn and turn.start == start)
            if turn is None or paused or cut:
                turn = Turn(identity, speaker, bool(hosts[key]), start, end, 0, [])
                turns.append(turn)
            turn.end, turn.words, last_end = max(turn.end, end), turn.words + 1, end
            turn.texts.append(text)
    spoken = [turn for turn in turns if "".join(turn.texts).strip()]
    return sorted(spoken, key=lambda turn: turn.start)


def _participant(entry):
    participant = entry.get("participant") or {}
    name = " ".join((participant.get("name") or "").split())
    return participant.get("id"), name, participant.get("is_host")


def _settled(words):
    """Start, end and text of an entry's words; none reaches into the next one."""
    spans = [[_millis(word, "start"), _millis(word, "end"), word["text"]] for word in words]
    for before, span in zip(spans, spans[1:]):
        if before[0] - span[0] < PAUSE_MS:
            span[0] = max(span[0], before[0])
            before[1] = min(before[1], span[0])
        span[1] = max(span[1], span[0])
    return spans


def _millis(word, edge):
    relative = (word.get(f"{edge}_timestamp") or {}).get("relative")
    return None if relative is None else math.floor(relative * 1000 + 0.5)


def _as_written(line):
    start, end = (None if line[edge] is None else round(line[edge] * 1000) for edge in ("start_s", "end_s"))
    who = line["speaker_id"], line["speaker"], line["is_host"]
    return Turn(*who, start, end, line["words"], [line["text"]])


def tokens(turn):
    """The words of a turn, in small letters: letters, marks and digits in a row."""
    # Recall may send a mark as a word of its own; it belongs to the letter before it.
    marked = (text if unicodedata.category((text or " ")[0])[0] == "M" else f" {text}" for text in turn.texts)
    text = unicodedata.normalize("NFC", "".join(marked)).lower()
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).split()
