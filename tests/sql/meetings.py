"""Reads the meetings in a folder with the layout of the bucket, and counts their words from Recall's own JSON.

Also stores other meetings beside them: the fixtures of the renditions, each with a line for the table of meetings.
"""

import datetime
import json
import math
import os
import pathlib
import shutil
import types
import unicodedata
import uuid
from dataclasses import dataclass

FIXTURES = pathlib.Path(__file__).parents[2] / "shared/renditions/fixtures"
# A silence this long ends a turn.
PAUSE_MS = 3000
# Invisible characters, in addition to control characters, spaces, and format characters.
FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10)))
DAY = datetime.timedelta(days=1)
CUSTOMERS = ["Acme", "Globex", None]


@dataclass
class Turn:
    """What one speaker says without a pause. Times are in milliseconds, or None."""

    person: int | None
    speaker: str
    speaker_id: int | None
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
        return self.person, self.speaker


@dataclass
class Meeting:
    date: str
    recording_id: str
    transcript_id: str
    stored_at: str
    path: pathlib.Path
    lines: list
    turns: list
    # The line of the table of meetings.
    about: dict

    @property
    def key(self):
        return self.date, self.recording_id, self.transcript_id


def add_fixtures(bucket):
    """Stores the fixtures of the renditions: one meeting per day from 2026-11-02 on, and one in October."""
    folders = sorted(folder for folder in FIXTURES.iterdir() if (folder / "transcript.json").exists())
    for number, folder in enumerate(folders):
        date = "2026-10-15" if folder.name == "captions" else str(datetime.date(2026, 11, 2) + number * DAY)
        _add(bucket, folder, date, recording=1000 + number, transcript=2000 + number, stored_hour=12)
    # One recording has a second transcript, which is newer at Recall although its attempt has no number.
    number = folders.index(FIXTURES / "meeting")
    date = str(datetime.date(2026, 11, 2) + number * DAY)
    _add(bucket, FIXTURES / "punctuation", date, recording=1000 + number, transcript=1, stored_hour=15)
    # Two people with the same name take turns.
    _add(bucket, FIXTURES / "meeting", "2026-11-20", 3000, 4000, stored_hour=12, rename=("Bob", "Ann", "Ann (2)"))


def _add(bucket, fixture, date, recording, transcript, stored_hour, rename=("", "", "")):
    """Stores a fixture with one name replaced, and with the label that readers then see."""
    old, new, label = rename
    recording_id, transcript_id = str(uuid.UUID(int=recording)), str(uuid.UUID(int=transcript))
    # An empty meeting has no such file.
    rendition = fixture / "transcript.jsonl"
    lines = [json.loads(line) for line in rendition.read_text().splitlines()] if rendition.exists() else []
    for line in lines:
        line.update(recording_id=recording_id, transcript_id=transcript_id)
        line["speaker"] = label if line["speaker"] == old else line["speaker"]
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
    (folder / "transcript.json").write_text(verbatim.replace(f'"name": "{old}"', f'"name": "{new}"'))
    if (fixture / "participants.json").exists():
        shutil.copy(fixture / "participants.json", folder)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (bucket / key).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    about = _about(manifest, date, lines, recording, attempt=None if transcript == 1 else 1)
    key_of_meeting = f"meetings/date={date}/{transcript_id}.jsonl"
    (bucket / key_of_meeting).parent.mkdir(parents=True, exist_ok=True)
    (bucket / key_of_meeting).write_text(json.dumps(about, ensure_ascii=False) + "\n")
    written = datetime.datetime.fromisoformat(manifest["stored_at"]).timestamp()
    for path in (bucket / key, bucket / key_of_meeting):
        os.utime(path, (written, written))


def _about(manifest, date, lines, number, attempt):
    """Returns the line of the table of meetings. Someone who is in every meeting never speaks."""
    ids = {name: manifest[name] for name in ("recording_id", "transcript_id")} | {"bot_id": None, "date": date}
    ids |= {"status": "stored", "created_at": manifest["stored_at"], "attempt": attempt}
    if number % 5 == 4:
        # What is written where RENDITIONS does not name meetings.
        return ids
    people = {}
    for line in lines:
        if line["person"] is not None:
            new = {"name": line["speaker"], "email": None, "is_host": line["is_host"]}
            one = people.setdefault(line["person"], new)
            one["spoke"] = True
            talk = 0 if line["start_s"] is None else line["end_s"] - line["start_s"]
            one["talk_s"] = round(one.get("talk_s", 0) + talk, 3)
            one["words"] = one.get("words", 0) + line["words"]
    for one in people.values():
        # The case of an address means nothing.
        one["email"] = f"{'Ann' if number % 2 else 'ann'}@example.com" if one["name"] == "Ann" else None
    silent = {"name": "Sam", "email": "sam@example.org", "is_host": False, "spoke": False, "talk_s": 0, "words": 0}
    # One transcript could not be read, so who spoke is not known.
    unread = {"spoke": None, "talk_s": None, "words": None} if number % 7 == 3 else {}
    participants = [{**one, **unread} for one in [*people.values(), silent]]
    participants.append({"name": None, "email": None, "is_host": None, "spoke": None, "talk_s": None, "words": None})
    emails = sorted({one["email"] for one in participants if one["email"]})
    duration_s = max((line["end_s"] or 0 for line in lines), default=0)
    customer = CUSTOMERS[number % len(CUSTOMERS)]
    return ids | {
        "title": f"Meeting {number}",
        "title_source": "metadata",
        "platform": "zoom",
        "meeting_id": None,
        "started_at": f"{date}T09:00:00.000Z",
        "ended_at": f"{date}T10:00:00.000Z",
        "calendar_event_id": None,
        "ical_uid": None,
        "participants_over_limit": 0,
        "sources": {
            "participants": "stored",
            "events": "read",
            "meeting_metadata": "absent",
            "bot": "failed",
            "timeline": "not_yet",
        },
        "duration_s": duration_s,
        "language_codes": sorted({line["language_code"] for line in lines if line["language_code"]}),
        "provider": "recallai_async",
        "counts": {
            "turns": len(lines),
            "words": sum(line["words"] for line in lines),
            "speakers": len(people),
            "speakers_over_limit": 0,
            "duration_s": duration_s,
        },
        "participants": participants,
        "participant_emails": emails,
        "participant_domains": sorted({email.split("@")[1] for email in emails}),
        "metadata": {"customer": customer} if customer else {},
    }


def load(bucket):
    """Returns the meetings of all manifests in the folder."""
    meetings = []
    for path in sorted(bucket.glob("recordings/*/*/manifest.json")):
        manifest = json.loads(path.read_text())
        (key,) = [file["key"] for file in manifest["files"] if file["name"] == "turns.jsonl"]
        lines = [json.loads(line) for line in (bucket / key).read_text().splitlines()]
        entries = json.loads((path.parent / "transcript.json").read_text())
        listed = path.with_name("participants.json")
        if listed.exists():
            _complete(entries, json.loads(listed.read_text()))
        (about,) = (bucket / key.replace("turns/", "meetings/", 1)).read_text().splitlines()
        meetings.append(
            Meeting(
                date=key.split("date=")[1][:10],
                recording_id=manifest["recording_id"],
                transcript_id=manifest["transcript_id"],
                stored_at=manifest["stored_at"],
                path=bucket / key,
                lines=lines,
                turns=_turns(entries, lines),
                about=json.loads(about),
            )
        )
    return meetings


def newest_of(meetings):
    """Returns the newest transcript of each recording."""
    newest = {}
    for meeting in sorted(meetings, key=lambda meeting: meeting.about["created_at"]):
        newest[meeting.recording_id] = meeting
    return list(newest.values())


def _complete(entries, participants):
    """Adds names, hosts and ids that Recall's list of participants has and the transcript does not have."""
    listed = {one.get("id"): one for one in participants if isinstance(one, dict)}
    for entry in entries:
        participant = entry.get("participant") if isinstance(entry, dict) else None
        if isinstance(participant, dict):
            other = listed.get(participant.get("id"), {})
            entry["participant"] = {**other, **{name: value for name, value in participant.items() if value}}


def _turns(entries, lines):
    """Returns the turns, computed from Recall's words. Only the places where long turns are cut come from the lines."""
    if not all(_is_regular(entry) for entry in entries):
        # The tests of the reader cover odd values and missing times.
        return [_as_written(line) for line in lines]
    cuts = {(line["speaker_id"], line["speaker"], round(line["start_s"] * 1000)) for line in lines}
    people = _people(entries)
    turns = []
    for entry in entries:
        identity, _, is_host = _participant(entry)
        person, speaker, is_host = people[_key(entry)]
        identity = identity if isinstance(identity, int) else None
        turn = None
        for start, end, text in _settled(entry["words"]):
            paused = turn and start - last_end >= PAUSE_MS
            # If several words start at once, the first of them begins the turn.
            cut = (identity, speaker, start) in cuts and not (turn and turn.start == start)
            if turn is None or paused or cut:
                turn = Turn(person, speaker, identity, is_host, start, end, 0, [])
                turns.append(turn)
            turn.end, turn.words, last_end = max(turn.end, end), turn.words + 1, end
            turn.texts.append(text)
    return sorted(turns, key=lambda turn: turn.start)


def _is_regular(entry):
    """Returns whether the entry is as Recall documents it, with all times known and in order."""
    words = entry.get("words") if isinstance(entry, dict) else None
    if not isinstance(words, list) or not isinstance(entry.get("participant"), dict | types.NoneType):
        return False
    if not all(isinstance(word, dict) and isinstance(word.get("text"), str) for word in words):
        return False
    edges = [word.get(f"{edge}_timestamp") for word in words for edge in ("start", "end")]
    if not all(isinstance(edge, dict) and not edge.get("absolute") for edge in edges):
        return False
    times = [edge.get("relative") for edge in edges]
    usable = all(isinstance(time, int | float) and 0 <= time < 86_400 for time in times)
    return usable and all(after > before - 0.5 for before, after in zip(times[::2], times[2::2]))


def _people(entries):
    """Returns for each speaker the place in order of appearance, the label, and whether the speaker is the host."""
    names, hosts = {}, {}
    for entry in entries:
        identity, name, is_host = _participant(entry)
        key = _key(entry)
        names[key] = name or names.get(key) or ("" if identity is None else f"Speaker {identity}")
        hosts[key] = hosts.get(key) or bool(is_host)
    labels, people = set(), {}
    for person, key in enumerate(names):
        label = base = names[key] or "Unknown speaker"
        number = 1
        while label in labels:
            number += 1
            label = f"{base} ({number})"
        labels.add(label)
        people[key] = person, label, hosts[key]
    return people


def _key(entry):
    """Returns the value that identifies a speaker."""
    participant = entry.get("participant") or {}
    meet = (participant.get("extra_data") or {}).get("google_meet") or {}
    identity, name, _ = _participant(entry)
    return meet.get("static_participant_id") or (name if identity is None else f"id {identity}")


def _participant(entry):
    participant = entry.get("participant") or {}
    name = unicodedata.normalize("NFC", " ".join((participant.get("name") or "").split()))
    return participant.get("id"), name if _is_visible(name) else "", participant.get("is_host")


def _is_visible(text):
    return any(unicodedata.category(c)[0] not in "CZ" and c not in FILLERS for c in text)


def _settled(words):
    """Returns the start, end, and text of an entry's words. No word reaches into the next one."""
    spans = []
    for word in words:
        if _is_visible(word["text"]):
            spans.append([_millis(word, "start"), _millis(word, "end"), word["text"]])
        elif spans:
            # These are parts of the previous character.
            spans[-1][2] += word["text"].strip()
    for before, span in zip(spans, spans[1:]):
        span[0] = max(span[0], before[0])
        before[1] = min(before[1], span[0])
        span[1] = max(span[1], span[0])
    return spans


def _millis(word, edge):
    relative = (word.get(f"{edge}_timestamp") or {}).get("relative")
    return None if relative is None else math.floor(relative * 1000 + 0.5)


def _as_written(line):
    start, end = (None if line[edge] is None else round(line[edge] * 1000) for edge in ("start_s", "end_s"))
    who = line["person"], line["speaker"], line["speaker_id"]
    return Turn(*who, line["is_host"], start, end, line["words"], [line["text"]])


def tokens(turn):
    """Returns the words of a turn in lowercase: sequences of letters, marks, and digits."""
    # Recall may send a mark as a separate word, but it belongs to the letter before it.
    marked = (text if unicodedata.category((text or " ")[0])[0] == "M" else f" {text}" for text in turn.texts)
    text = unicodedata.normalize("NFC", "".join(marked)).lower()
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).split()
