"""Reads the YAML front matter of our documents with two parsers: PyYAML (YAML 1.1) and ruamel.yaml (YAML 1.2).

    pip install PyYAML==6.0.3 ruamel.yaml==0.18.16
    python tests/formats/front_matter.py FOLDER…

Both must read the same values from every transcript.md below the folders: plain values and lists of plain values, and
the ids and the title of the manifest beside the document, if there is one. First, the script checks that it would
notice what YAML parsers disagree about.
"""

import datetime
import io
import json
import math
import sys
from pathlib import Path

import ruamel.yaml
import yaml

FENCE = "---\n"
# Texts that a parser of either version could read as something else, and documents that it could not read.
MISREAD = ["no", "on", "~", "1e3", "0o17", "017", "1_000", "12:30:45", "2026-01-01", ".inf", "=", "<<"]
BROKEN = ["a: b: c", "*x", "&x", "!x y", "%x", "@x", "`x`", "[x", "{x", "'x", '"x', "? x\n: y", "x # y", "- x", "\tx"]


class Strict(yaml.SafeLoader):
    """Refuses a key that occurs twice, as ruamel.yaml does."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep) for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"a key occurs twice: {keys}"
        return super().construct_mapping(node, deep)


def parsed(text: str) -> dict:
    """Returns the values of a front matter, which are the same for both parsers."""
    old = yaml.load(text, Loader=Strict)
    new = ruamel.yaml.YAML(typ="safe", pure=True).load(io.StringIO(text))
    assert repr(old) == repr(new), f"PyYAML reads\n{old}\nand ruamel.yaml reads\n{new}"
    assert isinstance(old, dict) and old, f"this is no mapping: {old!r}"
    return old


def front_matter(text: str) -> str:
    assert text.startswith(FENCE), f"the document begins with {text[:20]!r}"
    head, fence, _ = text.removeprefix(FENCE).partition(f"\n{FENCE}")
    assert fence, "the front matter does not end"
    return head + "\n"


def check_values(values: dict) -> None:
    for key, value in values.items():
        assert isinstance(key, str), f"{key!r} is not text"
        if isinstance(value, dict):
            check_values(value)
            continue
        for one in value if isinstance(value, list) else [value]:
            # A date would be text for one parser and a date for another.
            assert not isinstance(one, datetime.date | dict | list), f"{key}: {one!r}"
            assert not isinstance(one, float) or math.isfinite(one), f"{key}: {one!r}"


def texts(value: object) -> list[str]:
    """Returns all texts in a value."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


def check(path: Path) -> None:
    try:
        values = parsed(front_matter(path.read_text("utf-8")))
        check_values(values)
        manifest = path.with_name("manifest.json")
        if manifest.exists():
            about = json.loads(manifest.read_text("utf-8"))
            expected = [about["recording_id"], about["transcript_id"], (about.get("meeting") or {}).get("title")]
            missing = [one for one in expected if one is not None and one not in texts(values)]
            assert not missing, f"{missing} is not in {values}"
    except (AssertionError, yaml.YAMLError, ruamel.yaml.error.YAMLError) as error:
        raise SystemExit(f"{path}: {error}") from error


def check_the_check() -> None:
    """Checks that each bad text is noticed if it is written without quotes, and read back if it is in quotes."""

    def fails(line: str) -> bool:
        try:
            values = parsed(f"{line}\n")
            check_values(values)
        except (AssertionError, ValueError, yaml.YAMLError, ruamel.yaml.error.YAMLError):
            return True
        return values != {"title": line.removeprefix("title: ")}

    for text in MISREAD + BROKEN:
        assert fails(f"title: {text}"), f"the check accepts {text!r} without quotes"
        assert parsed(f"title: {json.dumps(text)}\n") == {"title": text}, text
    assert fails("title: x\ntitle: y"), "the check accepts a key that occurs twice"
    for document in ["title: x\n", "---\ntitle: x\n", "\ufeff---\ntitle: x\n---\n"]:
        try:
            front_matter(document)
        except AssertionError:
            continue
        raise AssertionError(f"the check accepts {document!r}")


def main(folders: list[str]) -> None:
    check_the_check()
    paths = sorted(path for folder in folders for path in Path(folder).rglob("transcript.md"))
    assert paths, f"no documents below {folders}"
    for path in paths:
        check(path)
    print(f"{len(paths)} documents have a front matter that two YAML parsers read as the same values")


main(sys.argv[1:])
