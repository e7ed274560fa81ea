"""Reads our documents with GitHub's own Markdown parser.

    pip install cmarkgfm==2025.10.22
    python tests/formats/markdown.py FOLDER…

Every transcript.md below the folders must show the words of the text file beside it, with no link, image, or HTML.
GitHub shows the front matter as a table, and front_matter.py reads it.
"""

import html
import re
import sys
from pathlib import Path

import cmarkgfm

TAG = re.compile(r"<[^>]*>")
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
TURN = re.compile(r"<p><strong>(.*?)</strong>(?: \((\d\d:\d\d:\d\d)\))?: (.*)</p>")
PLAIN = {"h1", "ul", "li", "p", "strong", "code", "table", "thead", "tbody", "tr", "th", "td"}


def shown(page: str) -> str:
    return html.unescape(TAG.sub("", page))


def check(path: Path) -> int:
    page = cmarkgfm.github_flavored_markdown_to_html(FRONT_MATTER.sub("", path.read_text("utf-8")))
    tags = set(re.findall(r"</?([!\w]+)", page))
    assert tags <= PLAIN, f"{path}: unexpected tags {tags - PLAIN}"
    turns = [f"[{at or '--:--:--'}] {shown(label)}: {shown(said)}" for label, at, said in TURN.findall(page)]
    text = path.with_suffix(".txt")
    expected = text.read_text("utf-8").splitlines() if text.exists() else []
    assert turns == expected, f"{path}: {[pair for pair in zip(turns, expected) if pair[0] != pair[1]]}"
    # GitHub turns mentions and issue numbers into links in all text that is not code.
    plain = shown(re.sub(r"<code>.*?</code>", "", page))
    assert not re.search(r"@[\w-]|#\d", plain), f"{path}: it mentions a user or refers to an issue"
    return len(turns)


def main(folders: list[str]) -> None:
    paths = sorted(path for folder in folders for path in Path(folder).rglob("transcript.md"))
    assert paths, f"no documents below {folders}"
    turns = sum(check(path) for path in paths)
    print(f"{len(paths)} documents with {turns} turns show exactly what was said")


main(sys.argv[1:])
