"""Has programs that we did not write read our subtitles: ffmpeg, webvtt-py and srt.

    pip install imageio-ffmpeg==0.8.1 webvtt-py==0.6.0 srt==3.5.3
    python tests/formats/subtitles.py FOLDER…

Every *.vtt and *.srt below the folders is read by a library and by ffmpeg, and both must find the cues that are in it:
as many, with the same times, in the same words. And every cue can be read: it has at most two lines and lasts from 0.8 s
to 7 s; those of SRT are at least 40 ms apart.
"""

import html
import re
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import imageio_ffmpeg
import srt
import webvtt

TIME = re.compile(r"(?:(\d+):)?(\d\d):(\d\d)[.,](\d{3})")
# Voices and styling.
TAG = re.compile(r"</?[a-z][^>]*>")


def milliseconds(text: str) -> int:
    hours, minutes, seconds, thousandths = TIME.fullmatch(text.strip()).groups()
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(thousandths)


def words(text: str) -> str:
    """What a reader sees, without markup and line breaks."""
    text = html.unescape(TAG.sub("", text)).replace("\u00a0", " ")
    return " ".join(text.split())


def letters(text: str) -> str:
    """What is left when nobody agrees any more on what is a tag: SRT has no way to write `<` as a character."""
    return re.sub(r"[\W_]+", "", TAG.sub("", html.unescape(text)))


def of_vtt(path: Path) -> list[tuple[int, int, str]]:
    return [(milliseconds(cue.start), milliseconds(cue.end), words(cue.text)) for cue in webvtt.read(str(path))]


def parsed(path: Path) -> list[srt.Subtitle]:
    return list(srt.parse(path.read_text("utf-8"), ignore_errors=False))


def spans(cues: list[srt.Subtitle]) -> list[tuple[int, int, str]]:
    ms = lambda time: round(time.total_seconds() * 1000)
    return [(ms(cue.start), ms(cue.end), words(cue.content)) for cue in cues]


def of_srt(path: Path) -> list[tuple[int, int, str]]:
    cues = parsed(path)
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1)), f"{path}: not numbered from 1"
    for before, after in zip(cues, cues[1:]):
        gap = after.start - before.end
        assert gap >= timedelta(milliseconds=40), f"{path}: cue {after.index} begins {gap} after the one before"
    return spans(cues)


def of_ffmpeg(path: Path) -> list[tuple[int, int, str]]:
    """Converted to the other format, and read from that."""
    other = ".srt" if path.suffix == ".vtt" else ".vtt"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"out{other}"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-xerror", "-i", str(path), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and not done.stderr.strip(), f"{path}: ffmpeg says {done.stderr}"
        # The cues of VTT may overlap, so what must hold for our SRT need not hold for this one.
        return of_vtt(out) if other == ".vtt" else spans(parsed(out))


def check(path: Path) -> int:
    text = path.read_text("utf-8")
    expected = text.count(" --> ")
    if expected == 0:
        # An empty meeting: there is nothing that ffmpeg could convert.
        assert text.strip() in ("", "WEBVTT"), f"{path}: {text!r}"
        return 0
    cues = of_vtt(path) if path.suffix == ".vtt" else of_srt(path)
    assert len(cues) == expected, f"{path}: the library finds {len(cues)} of {expected} cues"
    starts = [start for start, _, _ in cues]
    assert starts == sorted(starts), f"{path}: cues run backwards"
    for start, end, cue in cues:
        assert 800 <= end - start <= 7000, f"{path}: {end - start} ms for {cue}"
    assert not re.search(r"-->.*\n.+\n.+\n.+", text), f"{path}: a cue has three lines"
    assert all(text for _, _, text in cues), f"{path}: an empty cue"
    seen = of_ffmpeg(path)
    assert len(seen) == expected, f"{path}: ffmpeg finds {len(seen)} of {expected} cues"
    for ours, theirs in zip(cues, seen):
        assert ours[:2] == theirs[:2], f"{path}: {ours} became {theirs}"
        assert letters(ours[2]) == letters(theirs[2]), f"{path}: {ours} became {theirs}"
    return expected


def main(folders: list[str]) -> None:
    paths = sorted(path for folder in folders for kind in ("*.vtt", "*.srt") for path in Path(folder).rglob(kind))
    assert paths, f"no subtitles below {folders}"
    cues = sum(check(path) for path in paths)
    print(f"{len(paths)} files with {cues} cues are read as they are meant")


main(sys.argv[1:])
