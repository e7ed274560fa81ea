"""Runs the SQL of docs/querying.md on meetings in files, and compares the answers with counts of Recall's words.

Usage: run.py DATA EXPANDED. DATA is a folder that `cargo dev --once --data DATA` has filled. The test copies its
meeting and stores others beside it. EXPANDED is the template as `.ci/expand.py` prints it. Needs duckdb==2.0.1 and
sqlglot==30.30.0 from PyPI. The statements for Athena are translated and run on a table with Athena's columns.
"""

import datetime
import json
import pathlib
import re
import shutil
import sys
import tempfile
from collections import defaultdict

import duckdb

from compare import SINCE, close, same, seconds
from documented import Table, for_duckdb, of_template, statements
from meetings import add_fixtures, load, newest_of, tokens
from people import check_people

# The path of the local bucket on the page.
LOCAL = "data/s3/transcripts"
# The statements of the page that create the tables and the views, in this order.
TABLES = ["table", "meetings-table"]
VIEWS = ["latest-meetings", "attendance", "latest"]
KEY = '"date", recording_id, transcript_id'
# Words of one or several meetings: with and without accents, in three alphabets, in capitals. Two words never occur.
WORDS = ["budget", "BUDGET", "café", "qué", "vamos", "nein", "for", "plan", "בוא", "الخير", "2027", "unsaid", "caf"]
PHRASES = ["料金", "ログ", "120万円", "aws", "สวัสดี", "Por qué", "Thank You", "言わない"]


def main(data, expanded):
    page = {engine: statements(engine) for engine in ("athena", "duckdb")}
    tables = [Table(page["athena"][name]) for name in TABLES]
    for table in tables:
        of_stack = of_template(expanded, table.name)
        documented = {name: getattr(table, name) for name in of_stack}
        assert documented == of_stack, f"page and template differ:\n{documented}\n{of_stack}"
    with tempfile.TemporaryDirectory() as temporary:
        bucket = pathlib.Path(temporary) / LOCAL
        shutil.copytree(data / "s3/transcripts", bucket)
        played = load(bucket)
        assert sum(len(meeting.lines) for meeting in played) > 100, "cargo dev has stored no meeting"
        add_fixtures(bucket)
        meetings = load(bucket)
        check_lines(meetings)
        for engine in page:
            ask = Questions(engine, page[engine], tables, bucket)
            check_turns_table(ask, tables[0], meetings)
            check_meetings_table(ask, tables[1], meetings)
            check_answers(ask, meetings)
            check_people(ask, newest_of(meetings))
            print(f"{engine}: {ask.asked} answers over {len(meetings)} transcripts are right")


class Questions:
    """Creates a database with the tables and the views of the page."""

    def __init__(self, engine, sql, tables, bucket):
        self.engine, self.sql, self.bucket, self.asked = engine, sql, bucket, 0
        self.database = duckdb.connect()
        self.database.sql("SET TimeZone = 'UTC'")
        if engine == "athena":
            # sqlglot does not translate the function normalize.
            self.database.execute("CREATE MACRO normalize(it) AS nfc_normalize(it)")
            # Athena derives these columns from files and keys. DuckDB cannot hide columns, so they are visible here.
            for table in tables:
                columns = ", ".join(f"{name!r}: {kind!r}" for name, kind in table.duckdb_columns().items())
                self.database.execute(f"""
                    CREATE TABLE {table.name} AS
                    SELECT lines.* EXCLUDE (filename), filename AS "$path", last_modified AS "$file_modified_time"
                    FROM read_json('{bucket}/{table.name}/date=*/*.jsonl', format = 'newline_delimited',
                                   filename = true, hive_partitioning = true, hive_types = {{'date': VARCHAR}},
                                   columns = {{{columns}}}) AS lines
                    JOIN read_blob('{bucket}/{table.name}/date=*/*.jsonl') USING (filename)""")
        else:
            for name in TABLES:
                self.database.execute(self._local(sql[name]))
        for name in VIEWS:
            self.ask(name)

    def ask(self, name, **put):
        """Returns the rows of this statement with some words replaced."""
        sql = self.sql[name]
        for old, new in put.items():
            assert old in sql, f"the statement {name} does not contain {old}"
            sql = sql.replace(old, new)
        self.asked += 1
        sql = for_duckdb(sql) if self.engine == "athena" else self._local(sql)
        cursor = self.database.execute(sql)
        return [] if name in VIEWS else cursor.fetchall()

    def _local(self, sql):
        assert LOCAL in sql or "read_" not in sql
        return sql.replace(LOCAL, str(self.bucket))


def check_lines(meetings):
    """Checks that the files match Recall's JSON, independently of SQL."""
    recordings = {meeting.recording_id for meeting in meetings}
    assert len(recordings) == len(meetings) - 1, "exactly one recording should have two transcripts"
    assert any(not meeting.lines for meeting in meetings), "one meeting should be empty"
    for meeting in meetings:
        lines = [
            tuple(line[name] for name in ("person", "speaker", "speaker_id", "is_host", "start_s", "end_s", "words"))
            for line in meeting.lines
        ]
        turns = [(*t.who, t.speaker_id, t.is_host, seconds(t.start), seconds(t.end), t.words) for t in meeting.turns]
        same(f"lines of {meeting.path.name}", lines, turns)


def check_turns_table(ask, table, meetings):
    types = {name: kind for name, kind, *_ in ask.database.sql("DESCRIBE turns").fetchall() if name[0] != "$"}
    same("columns", types, {**table.duckdb_columns(), "date": "VARCHAR"})
    for line in (line for meeting in meetings for line in meeting.lines):
        same("fields", list(line), [name for name, _ in table.columns])
    columns = ", ".join(f'"{name}"' for name in types)
    rows = ask.database.execute(f'SELECT {columns} FROM turns ORDER BY "date", transcript_id, turn').fetchall()
    lines = [
        tuple(meeting.date if name == "date" else line[name] for name in types)
        for meeting in sorted(meetings, key=lambda meeting: (meeting.date, meeting.transcript_id))
        for line in meeting.lines
    ]
    same("rows", rows, lines)
    for name in ("speaker_id", "start_s", "started_at", "language_code"):
        assert any(row[list(types).index(name)] is None for row in rows), f"{name} should be null in some row"


def check_meetings_table(ask, table, meetings):
    columns = table.duckdb_columns()
    types = {name: kind for name, kind, *_ in ask.database.sql("DESCRIBE meetings").fetchall() if name[0] != "$"}
    plain = lambda kinds: {name: kind.replace('"', "") for name, kind in kinds.items()}
    same("columns of meetings", plain(types), plain({**columns, "date": "VARCHAR"}))
    for meeting in meetings:
        fields = [name for name in meeting.about if name != "date"]
        assert fields in (list(columns), list(columns)[: len(fields)]), f"fields of {meeting.path.name}: {fields}"
        same("date", meeting.about["date"], meeting.date)
    names = ", ".join(f'"{name}"' for name in types)
    rows = ask.database.execute(f'SELECT {names} FROM meetings ORDER BY "date", transcript_id').fetchall()
    # These two are in a line only if the settings ask for the files.
    on_request = {"timeline": None, "provider_data": None}
    with_sources = lambda about: {**about, "sources": on_request | about["sources"]} if "sources" in about else about
    lines = [
        tuple(with_sources(meeting.about).get(name) for name in types)
        for meeting in sorted(meetings, key=lambda meeting: (meeting.date, meeting.transcript_id))
    ]
    same("rows of meetings", rows, lines)
    newest = sorted(meeting.key for meeting in newest_of(meetings))
    same("newest", ask.database.execute(f'SELECT {KEY} FROM latest_meetings ORDER BY {KEY}').fetchall(), newest)
    spoken = sorted(meeting.key for meeting in newest_of(meetings) if meeting.lines)
    turns = ask.database.execute(f"SELECT DISTINCT {KEY} FROM latest_turns ORDER BY {KEY}").fetchall()
    same("newest turns", turns, spoken)


def check_answers(ask, meetings):
    recent = [meeting for meeting in meetings if meeting.date >= SINCE]
    assert len(recent) < len(meetings), "one meeting should be older than the queries' first day"
    check_talk_time(ask, recent)
    for word in WORDS:
        found = mentions(recent, lambda turn: word.lower() in tokens(turn))
        same(word, [row[:5] for row in ask.ask("word", budget=word)], found)
        assert bool(found) == (word not in ("unsaid", "caf")), f"{word} is found in {len(found)} meetings"
    for row in ask.ask("word"):
        (meeting,) = [meeting for meeting in recent if meeting.key == row[:3]]
        started = datetime.datetime.fromisoformat(meeting.lines[0]["started_at"])
        first = started + datetime.timedelta(seconds=row[4] - meeting.lines[0]["start_s"])
        same("absolute time", row[5].replace(tzinfo=datetime.UTC), first)
    for phrase in PHRASES:
        found = mentions(recent, lambda turn: phrase.lower().replace(" ", "") in "".join(turn.texts).lower())
        same(phrase, ask.ask("phrase", 料金=phrase), found)
        assert bool(found) == (phrase != "言わない"), f"{phrase} is found in {len(found)} meetings"
    check_monologues(ask, recent)
    check_context(ask, [meeting for meeting in recent if meeting.date <= "2026-11-30"])
    check_months(ask, meetings)
    check_late(ask, meetings)
    if ask.engine == "duckdb":
        check_days(ask, meetings)
        check_strays(ask, meetings)


def check_talk_time(ask, meetings):
    expected = {}
    for meeting in meetings:
        total = sum(turn.talk or 0 for turn in meeting.turns)
        for who in {turn.who for turn in meeting.turns}:
            turns = [turn for turn in meeting.turns if turn.who == who]
            talks = [turn.talk for turn in turns if turn.talk is not None]
            talk = sum(talks) if talks else None
            expected[(*meeting.key, *who)] = (seconds(talk), talks and 100 * talk / total, len(turns))
    rows = ask.ask("talk-time")
    same("speakers", sorted(map(repr, expected)), sorted(repr(row[:5]) for row in rows))
    for row in rows:
        talk, percent, turns = expected[row[:5]]
        assert row[5] == talk and close(row[6], percent or None, 0.051) and row[7] == turns, row
    same("order", rows, sorted(rows, key=lambda row: (row[:3], -(row[5] or 0))))


def mentions(meetings, is_said):
    """Returns the date, ids, number of turns, and first second of each meeting with such a turn."""
    rows = []
    for meeting in meetings:
        turns = [turn for turn in meeting.turns if is_said(turn)]
        if turns:
            starts = [seconds(turn.start) for turn in turns if turn.start is not None]
            rows.append((*meeting.key, len(turns), min(starts, default=None)))
    return sorted(rows)


def check_monologues(ask, meetings):
    runs = []
    for meeting in meetings:
        who = None
        for number, turn in enumerate(meeting.turns):
            if turn.who != who:
                who = turn.who
                runs.append([*meeting.key, *who, None, 0, number, number, None])
            run = runs[-1]
            run[6], run[8] = run[6] + turn.words, number
            if turn.start is not None:
                run[5] = (run[5] or 0) + turn.talk
                run[9] = turn.start if run[9] is None else min(run[9], turn.start)
    runs.sort(key=lambda run: (-(run[5] or 0), run[2], run[7]))
    expected = [(*run[:5], seconds(run[5]), *run[6:9], seconds(run[9])) for run in runs[:10]]
    rows = ask.ask("monologue")
    assert any(row[8] > row[7] for row in rows), "one monologue should have several turns"
    same("monologues", rows, expected)


def check_context(ask, meetings):
    for word in ("budget", "料金", "question"):
        expected = []
        for meeting in sorted(meetings, key=lambda meeting: (meeting.date, meeting.transcript_id)):
            told = [None, *(f"{line['speaker']}: {line['text']}" for line in meeting.lines), None]
            for number, turn in enumerate(meeting.turns):
                if word in meeting.lines[number]["text"].lower():
                    around = told[number], turn.speaker, meeting.lines[number]["text"], told[number + 2]
                    expected.append((*meeting.key, number, seconds(turn.start), *around))
        assert expected
        same(f"turns around {word}", ask.ask("context", budget=word), expected)


def check_months(ask, meetings):
    months = defaultdict(list)
    for meeting in newest_of(meetings):
        if meeting.turns:
            months[meeting.date[:7]].append(meeting)
    rows = ask.ask("months")
    same("months", [row[:2] for row in rows], sorted((month, len(those)) for month, those in months.items()))
    for row in rows:
        turns = [turn for meeting in months[row[0]] for turn in meeting.turns]
        talk = sum(turn.talk or 0 for turn in turns)
        hosts = sum(turn.talk or 0 for turn in turns if turn.is_host)
        assert close(row[2], talk / 3_600_000, 0.0051) and close(row[3], 100 * hosts / talk, 0.051), row
        same("words", row[4], sum(turn.words for turn in turns))


def check_late(ask, meetings):
    """Checks the meetings that were written within the last day: the played one, but no fixture."""
    now = datetime.datetime.now(datetime.UTC)
    late = [m for m in meetings if now.timestamp() - m.path.stat().st_mtime < 86_400]
    assert 0 < len(late) < len(meetings)
    if ask.engine == "athena":
        since = str((now - datetime.timedelta(days=31)).date())
        expected = [(*m.key, len(m.lines)) for m in late if m.date >= since and m.lines]
        same("late", sorted(row[:3] + row[4:] for row in ask.ask("late")), sorted(expected))
    else:
        same("late", sorted(row[0] for row in ask.ask("late")), sorted(m.transcript_id for m in late))


def check_days(ask, meetings):
    """Checks that a condition on the day keeps DuckDB from reading other days, also through the view."""
    day = max(meeting.date for meeting in meetings if meeting.recording_id.startswith("0000"))
    for table in ("turns", "latest_turns"):
        sql = f"""EXPLAIN ANALYZE SELECT min(text) FROM {table} WHERE "date" = '{day}'"""
        ((_, plan),) = ask.database.execute(sql).fetchall()
        read = re.search(r"READ_JSON.*?Scanning Files:\s+(\d+)/(\d+)", plan, re.DOTALL)
        same(f"files read of {table}", read and read.groups(), ("1", str(len(meetings))))


def check_strays(ask, meetings):
    same("strays", ask.ask("strays"), [])
    stray = ask.bucket / "turns/date=2025-05-05" / meetings[0].path.name
    stray.parent.mkdir()
    shutil.copy(meetings[0].path, stray)
    same("strays", ask.ask("strays"), [(str(stray),)])
    shutil.rmtree(stray.parent)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text()))
