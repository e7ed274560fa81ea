"""Reads our subtitles with third-party programs: ffmpeg, pysubs2, webvtt-py, and srt.

    pip install imageio-ffmpeg==0.8.1 pysubs2==1.8.1 webvtt-py==0.6.0 srt==3.5.3
    python tests/formats/subtitles.py FOLDER…

Libraries read every *.vtt and *.srt below the folders, and ffmpeg converts them to other formats. All of them must find
the same cues, with the same times and words. The words must be those of the `transcript.json` beside the file, complete
and in order. In SubRip, some characters are replaced with similar ones, so that no program takes them for commands.
There may be no other differences.

Every cue must be readable: it has at most two lines, is not blank, and lasts from 0.8 s to 7 s. Cues of SubRip are at
least 40 ms apart. A meeting without words has no cues in WebVTT and no SubRip file.
"""

import html
import json
import re
import subprocess
import sys
import tempfile
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg
import pysubs2
import srt
import webvtt

TIME = re.compile(r"(?:(\d+):)?(\d\d):(\d\d)[.,](\d{3})")
# Voices and styling.
TAG = re.compile(r"</?[a-z][^>]*>")
VOICE = re.compile(r"<v ([^>]*)>")
LOOK_ALIKES = str.maketrans("‹›❴❵∖＆∶", "<>{}\\&:")
# Invisible characters other than white space, control characters, and format characters.
FILLERS = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
FILLERS |= {*range(0x180B, 0x1810), *range(0xFE00, 0xFE10)}


class Cue(NamedTuple):
    start: int
    end: int
    text: str


def milliseconds(text: str) -> int:
    hours, minutes, seconds, thousandths = TIME.fullmatch(text.strip()).groups()
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(thousandths)


def one_line(text: str) -> str:
    return " ".join(text.split())


def visible(text: str) -> str:
    """Returns the visible characters without spaces, whose places depend on the script and on line breaks."""
    unseen = {"Cc", "Cf", "Zs", "Zl", "Zp"}
    return "".join(c for c in text if unicodedata.category(c) not in unseen and ord(c) not in FILLERS)


def letters(text: str) -> str:
    """Returns the text without the marks that a program escapes in its own way."""
    return re.sub(r"[\W_]+", "", text)


# The words of the transcript.


def entries(transcript: Path) -> list[dict]:
    read = json.loads(transcript.read_text("utf-8-sig"))
    return [entry for entry in read if isinstance(entry, dict)]


def texts(entry: dict) -> list[str]:
    """Returns the texts of the entry's words, or the entry's own text if it has none."""
    words = entry.get("words")
    found = [word.get("text") for word in words if isinstance(word, dict)] if isinstance(words, list) else []
    found = [visible(text) for text in found if isinstance(text, str)]
    if not any(found) and isinstance(entry.get("text"), str):
        found = [visible(entry["text"])]
    return [text for text in found if text]


def is_in_order(found: list[dict]) -> bool:
    """Returns whether every entry begins after the previous one has ended, and all times are known."""
    now = 0
    for entry in found:
        for word in entry.get("words") or []:
            try:
                start, end = word["start_timestamp"]["relative"], word["end_timestamp"]["relative"]
                if not now <= start <= end < 1e6:
                    return False
            except (KeyError, TypeError):
                return False
            now = end
    return True


def check_said(where: str, found: str, transcript: Path, mapped: bool) -> None:
    """Compares the text that a program has found with what was said, word for word."""
    back = (lambda text: text.translate(LOOK_ALIKES)) if mapped else (lambda text: text)
    spoken = [[back(text) for text in texts(entry)] for entry in entries(transcript)]
    whole, found = "".join(text for entry in spoken for text in entry), visible(back(found))
    if is_in_order(entries(transcript)):
        assert found == whole, f"{where}: found\n{found}\nbut this was said:\n{whole}"
    missing, added = Counter(whole) - Counter(found), Counter(found) - Counter(whole)
    assert not missing and not added, f"{where}: {dict(missing)} is missing, {dict(added)} was not said"
    for entry in spoken:
        at = 0
        for text in entry:
            next_at = found.find(text, at)
            assert next_at >= 0, f"{where}: {text} is missing or out of order in {''.join(entry)}"
            at = next_at + len(text)


def without_names(path: Path, cues: list[Cue]) -> list[str]:
    """Returns SubRip's text without the leading names, which are the voices of the WebVTT file beside it."""
    beside = path.with_suffix(".vtt").read_text("utf-8")
    voices = {html.unescape(voice).translate(LOOK_ALIKES) for voice in VOICE.findall(beside)}
    texts = [cue.text.translate(LOOK_ALIKES) for cue in cues]
    begins = [line.removeprefix("- ") for text in texts for line in text.split("\n")]
    for voice in voices:
        assert any(voice in named(line, {voice}) for line in begins), f"{path}: the name {voice} is missing"
    return [said_in(text, voices) for text in texts]


def named(text: str, voices: set[str]) -> dict[str, str]:
    """Returns the speakers whose names begin the text, as written there. A long name ends with an ellipsis."""
    cut = re.match(r"(.{1,24}?)…:", text)
    found = {voice: cut[0] for voice in voices if cut and voice.startswith(cut[1])}
    return found | {voice: f"{voice}:" for voice in voices if text.startswith(f"{voice}:")}


def said_in(text: str, voices: set[str]) -> str:
    lines = text.split("\n")
    if len(lines) == 2 and all(line.startswith("- ") for line in lines):
        return " ".join(said_in(line[2:], voices) for line in lines)
    # If several names begin the same way, the longest one is right.
    return text[max(map(len, named(text, voices).values()), default=0):]


# What the programs read.


def of_webvtt(captions: webvtt.WebVTT) -> list[Cue]:
    text = lambda caption: html.unescape(TAG.sub("", caption.text))
    return [Cue(milliseconds(one.start), milliseconds(one.end), text(one)) for one in captions]


def of_srt(text: str) -> list[Cue]:
    ms = lambda time: round(time.total_seconds() * 1000)
    return [Cue(ms(one.start), ms(one.end), one.content) for one in srt.parse(text, ignore_errors=False)]


def of_pysubs2(path: Path, kind: str) -> list[Cue]:
    events = pysubs2.load(str(path), format_=kind).events
    for event in events:
        assert not event.is_comment and not event.is_drawing, f"{path}: {event.text} is not text"
        assert not re.search(r"[{}]|\\[^N]|\\$", event.text), f"{path}: {event.text} contains a command"
    return [Cue(event.start, event.end, event.plaintext) for event in events]


def converted(path: Path, out: Path) -> Path:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-xerror", "-i", str(path), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr.strip(), f"{path}: ffmpeg says {done.stderr}"
    return out


def check_cues(path: Path, cues: list[Cue], text: str) -> None:
    starts = [cue.start for cue in cues]
    assert starts == sorted(starts), f"{path}: the cues are not in time order"
    for start, end, shown in cues:
        assert 800 <= end - start <= 7000, f"{path}: the cue lasts {end - start} ms: {shown}"
        assert visible(shown), f"{path}: the cue at {start} ms is blank"
    assert not re.search(r"-->.*\n.+\n.+\n.+", text), f"{path}: a cue has three lines"


def check_same(path: Path, who: str, cues: list[Cue], seen: list[Cue], rounding_ms: int = 0) -> None:
    assert len(seen) == len(cues), f"{path}: {who} finds {len(seen)} of {len(cues)} cues"
    for ours, theirs in zip(cues, seen):
        off = max(abs(ours.start - theirs.start), abs(ours.end - theirs.end))
        assert off <= rounding_ms, f"{path}: {who} makes {theirs} of {ours}"
        assert one_line(theirs.text) == one_line(ours.text), f"{path}: {who} makes {theirs} of {ours}"


def check_vtt(path: Path, transcript: Path) -> int:
    text = path.read_text("utf-8")
    cues = of_webvtt(webvtt.read(str(path)))
    assert len(cues) == text.count(" --> "), f"{path}: webvtt-py finds {len(cues)} of {text.count(' --> ')} cues"
    check_cues(path, cues, text)
    check_said(f"{path}, by webvtt-py", " ".join(cue.text for cue in cues), transcript, mapped=False)
    if not cues:
        # There is nothing for ffmpeg to convert.
        assert text.strip() == "WEBVTT", f"{path}: {text!r}"
        return 0
    with tempfile.TemporaryDirectory() as folder:
        # SubRip cannot escape `<` or `{`, so only letters and digits are compared.
        seen = of_srt(converted(path, Path(folder) / "out.srt").read_text("utf-8"))
    assert len(seen) == len(cues), f"{path}: ffmpeg finds {len(seen)} of {len(cues)} cues"
    for ours, theirs in zip(cues, seen):
        assert ours[:2] == theirs[:2], f"{path}: {ours} became {theirs}"
        assert letters(ours.text) == letters(theirs.text), f"{path}: {ours} became {theirs}"
    return len(cues)


def check_srt(path: Path, transcript: Path) -> int:
    text = path.read_text("utf-8")
    cues = of_srt(text)
    assert cues, f"{path} has no cues"
    assert len(cues) == text.count(" --> "), f"{path}: srt finds {len(cues)} of {text.count(' --> ')} cues"
    numbers = [one.index for one in srt.parse(text)]
    assert numbers == list(range(1, len(cues) + 1)), f"{path}: the cues are not numbered from 1"
    for before, after in zip(cues, cues[1:]):
        assert after.start - before.end >= 40, f"{path}: a gap of {after.start - before.end} ms before {after}"
    check_cues(path, cues, text)
    with tempfile.TemporaryDirectory() as folder:
        [vtt, ass] = [converted(path, Path(folder) / f"out.{kind}") for kind in ("vtt", "ass")]
        # ASS has times in hundredths of a second.
        by = {
            "srt": (cues, 0),
            "pysubs2": (of_pysubs2(path, "srt"), 0),
            "webvtt-py": (of_webvtt(webvtt.from_srt(str(path))), 0),
            "ffmpeg, to WebVTT": (of_webvtt(webvtt.read(str(vtt))), 0),
            "ffmpeg, to ASS": (of_pysubs2(ass, "ass"), 10),
        }
    for who, (seen, rounding_ms) in by.items():
        check_same(path, who, cues, seen, rounding_ms)
        spoken = without_names(path, seen)
        assert all(map(visible, spoken)), f"{path}: {who} finds a cue that contains only a name"
        check_said(f"{path}, by {who}", " ".join(spoken), transcript, mapped=True)
    return len(cues)


def check(vtt: Path) -> int:
    """Checks a WebVTT file and the SubRip file of the same meeting."""
    transcript, subrip = vtt.with_suffix(".json"), vtt.with_suffix(".srt")
    assert transcript.exists(), f"there is no transcript beside {vtt}"
    cues = check_vtt(vtt, transcript)
    wrong = "the file is missing" if cues else "the file should not exist, because there are no cues"
    assert subrip.exists() == (cues > 0), f"{subrip}: {wrong}"
    return cues + (check_srt(subrip, transcript) if cues else 0)


def main(folders: list[str]) -> None:
    files = 0
    cues = 0
    for folder in folders:
        paths = {kind: {path.with_suffix("") for path in Path(folder).rglob(f"*.{kind}")} for kind in ("vtt", "srt")}
        assert paths["vtt"] and paths["srt"], f"one kind of subtitles is missing below {folder}"
        assert paths["srt"] <= paths["vtt"], f"these have no WebVTT beside them: {sorted(paths['srt'] - paths['vtt'])}"
        files += len(paths["vtt"]) + len(paths["srt"])
        cues += sum(check(path.with_suffix(".vtt")) for path in sorted(paths["vtt"]))
    assert folders, "the arguments name no folder"
    print(f"{files} files with {cues} cues are read as intended, with the words that were said")


main(sys.argv[1:])
