"""Checks the documents for knowledge bases, and their metadata, against the rules that Amazon Bedrock documents.

    python tests/formats/knowledge.py BUCKET…

Each BUCKET is a folder with the layout of the bucket, such as DATA/s3/transcripts after `cargo dev --data DATA` with
`knowledge` in RENDITIONS. Each document must have metadata beside it, and the reverse; belong to the newest transcript
of its recording; and say who spoke and when at least every 1,000 characters. First, the script checks that it would
notice metadata that Bedrock refuses.
"""

import json
import math
import re
import sys
from pathlib import Path

ENDING = ".md.metadata.json"
# S3 Vectors refuses more than 1 KB, or more than 35 keys, of metadata in a vector that a knowledge base writes.
MAX_BYTES = 1000
MAX_KEYS = 35
# Bedrock and the vector stores use keys of their own, which begin with these.
RESERVED = ("x-amz-bedrock", "_")
# How far a heading may be from the next one.
MAX_CHARS = 1000
# Range filters accept only numbers, so these must be numbers.
NUMBERS = {"yyyymmdd": r"20\d{6}", "started_at_epoch": r"\d{9,11}", "duration_s": r"\d+(\.\d+)?"}
# A heading says who, on which day, and when, unless no time is known.
HEADING = re.compile(r"^## .+ \(\d{4}-\d\d-\d\d(, \d+:\d\d:\d\d)?\)$", re.MULTILINE)


def problem(sidecar: str) -> str | None:
    """Returns why Bedrock would refuse these metadata, or None."""
    try:
        read = json.loads(sidecar, object_pairs_hook=once)
    except ValueError as error:
        return f"it is not JSON: {error}"
    if not isinstance(read, dict) or set(read) != {"metadataAttributes"}:
        return "it must have one field, metadataAttributes"
    attributes = read["metadataAttributes"]
    if not isinstance(attributes, dict) or not attributes:
        return "metadataAttributes must be an object that is not empty"
    minified = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))
    if f'{{"metadataAttributes":{minified}}}' != sidecar.strip():
        return "it is not minified"
    if len(minified.encode()) > MAX_BYTES:
        return f"metadataAttributes has {len(minified.encode())} bytes"
    if len(attributes) > MAX_KEYS:
        return f"it has {len(attributes)} keys"
    for key, value in attributes.items():
        if not key or key.startswith(RESERVED):
            return f"the key {key!r} is reserved or empty"
        if isinstance(value, list):
            if not value or not all(isinstance(one, str) for one in value):
                return f"{key} is an empty list, or a list of other values than texts"
        elif not isinstance(value, str | int | float | bool):
            return f"{key} is {value!r}"
        elif isinstance(value, float) and not math.isfinite(value):
            return f"{key} is {value!r}"
    for key, form in NUMBERS.items():
        value = attributes.get(key)
        if value is not None and (isinstance(value, bool | str) or not re.fullmatch(form, str(value))):
            return f"{key} is {value!r}"
    return None


def once(pairs: list) -> dict:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"a key occurs twice: {keys}")
    return dict(pairs)


def check_document(path: Path) -> None:
    """Checks that a chunk from anywhere in the conversation has a heading that says who and when."""
    text = path.read_text("utf-8")
    headings = [found.start() for found in HEADING.finditer(text)]
    assert headings, f"{path} has no heading that says who and when"
    for start, end in zip([0, *headings], [*headings, len(text)]):
        assert end - start <= MAX_CHARS, f"{path}: {end - start} characters from {text[start:start + 60]!r} on"


def newest(bucket: Path) -> dict[str, str]:
    """Returns the newest transcript of each recording, by the lines of the table of meetings."""
    lines = [json.loads(path.read_text("utf-8")) for path in bucket.glob("meetings/date=*/*.jsonl")]
    lines.sort(key=lambda line: (line.get("created_at") or "", line.get("attempt") or 0))
    return {line["recording_id"]: line["transcript_id"] for line in lines}


def check(bucket: Path) -> int:
    folder = bucket / "knowledge"
    sidecars = {path.name.removesuffix(ENDING): path for path in folder.glob(f"*{ENDING}")}
    documents = {path.name.removesuffix(".md"): path for path in folder.glob("*.md")}
    assert set(sidecars) == set(documents), f"without a partner: {sorted(set(sidecars) ^ set(documents))}"
    allowed = set(newest(bucket).values())
    for transcript, path in sidecars.items():
        sidecar = path.read_text("utf-8")
        found = problem(sidecar)
        assert found is None, f"{path}: {found}"
        assert transcript in json.loads(sidecar)["metadataAttributes"].values(), f"{path} does not name its transcript"
        assert transcript in allowed, f"{path} is not of the newest transcript of a recording"
        check_document(documents[transcript])
    return len(sidecars)


def check_the_check() -> None:
    """Checks that metadata are refused that break one rule each."""
    def sidecar(attributes: dict) -> str:
        return json.dumps({"metadataAttributes": attributes}, ensure_ascii=False, separators=(",", ":"))

    good = {"title": "é", "yyyymmdd": 20261123, "started_at_epoch": 1795430401, "truncated": True, "speakers": ["Ann"]}
    assert problem(sidecar(good)) is None, problem(sidecar(good))
    bad = [
        {}, {**good, "x": None}, {**good, "x": []}, {**good, "x": [1]}, {**good, "x": {"y": "z"}},
        {**good, "x": float("nan")}, {**good, "_x": "y"}, {**good, "x-amz-bedrock-kb-x": "y"}, {**good, "": "x"},
        {**good, "yyyymmdd": "20261123"}, {**good, "yyyymmdd": 1795430401}, {**good, "started_at_epoch": True},
        # One byte too long, by characters of two bytes.
        {"x": "é" * 496 + "y" * 3}, {f"key{number}": "" for number in range(36)},
    ]
    texts = [sidecar(attributes) for attributes in bad]
    texts += [json.dumps({"metadataAttributes": good}), sidecar(good)[:-1], '{"metadataAttributes":{"x":1,"x":1}}']
    texts += [sidecar(good).replace("metadataAttributes", "metadata"), "[]"]
    for text in texts:
        assert problem(text), f"the check accepts {text}"
    assert problem(sidecar({"x": "é" * 496})) is None
    assert len(json.dumps({"x": "é" * 496}, ensure_ascii=False, separators=(",", ":")).encode()) == MAX_BYTES


def main(buckets: list[str]) -> None:
    check_the_check()
    assert buckets, "the arguments name no bucket"
    count = sum(check(Path(bucket)) for bucket in buckets)
    assert count, f"no documents below {buckets}"
    print(f"{count} documents for knowledge bases, with metadata that Amazon Bedrock accepts")


if __name__ == "__main__":
    main(sys.argv[1:])
