"""Checks the queries of docs/querying.md about meetings and their people."""

import datetime
from collections import Counter, defaultdict

from compare import SINCE, close, same


def people_of(meeting):
    """Returns the people of a meeting who have a name or an address, by what the queries take for the person."""
    people = defaultdict(list)
    for one in meeting.about.get("participants", []):
        if who := one["email"].lower() if one["email"] else one["name"]:
            people[who].append(one)
    return people


def check_people(ask, meetings):
    """Checks the queries about meetings. `meetings` has the newest transcript of each recording."""
    recent = [meeting for meeting in meetings if meeting.date >= SINCE]
    assert any("title" not in meeting.about for meeting in recent), "one line should be short"
    met = Counter()
    for meeting in recent:
        people = people_of(meeting)
        met.update((one, other) for one in people for other in people if one < other)
    expected = sorted(((*pair, count) for pair, count in met.items()), key=lambda row: (-row[2], row))
    assert expected[0][2] > 1, "two people should meet twice"
    same("who met whom", ask.ask("met"), expected[:100])
    this_year = [meeting for meeting in meetings if meeting.date >= "2026-01-01"]
    for person in ("ann@example.com", "Bob", "sam@example.org", "no one"):
        quarters = defaultdict(list)
        for meeting in this_year:
            if found := people_of(meeting).get(person):
                month = int(meeting.date[5:7])
                quarters[f"{meeting.date[:4]}-Q{(month + 2) // 3}"].append(found)
        rows = ask.ask("quarters", **{"ann@example.com": person})
        counts = sorted((quarter, len(those)) for quarter, those in quarters.items())
        same(f"quarters of {person}", [row[:2] for row in rows], counts)
        assert bool(rows) == (person != "no one")
        for row in rows:
            those = [one for found in quarters[row[0]] for one in found if one["talk_s"] is not None]
            assert close(row[2], sum(one["talk_s"] for one in those) / 3600, 0.0051), row
            same("words", row[3], sum(one["words"] for one in those))
    customers, weeks = defaultdict(list), defaultdict(list)
    for meeting in recent:
        customers[(meeting.about.get("metadata") or {}).get("customer")].append(meeting.about.get("duration_s"))
        day = datetime.date.fromisoformat(meeting.date)
        weeks[day - datetime.timedelta(days=day.weekday())].append(meeting.about.get("duration_s"))
    check_hours("customers", ask.ask("customers"), customers)
    check_hours("weeks", ask.ask("weeks"), weeks)
    same("weeks in order", [row[0] for row in ask.ask("weeks")], sorted(weeks))
    silent = defaultdict(list)
    for meeting in recent:
        for person, found in people_of(meeting).items():
            spoke = [one["spoke"] for one in found if one["spoke"] is not None]
            if spoke:
                silent[person].append(not any(spoke))
    expected = [(person, len(those), sum(those)) for person, those in silent.items() if any(those)]
    assert expected
    same("silent", ask.ask("silent"), sorted(expected, key=lambda row: (-row[2], row[1], row[0])))


def check_hours(what, rows, expected):
    """Compares the number of meetings, and the sum of their hours, in each row."""
    counts = {group: len(durations) for group, durations in expected.items()}
    same(what, {row[0]: row[1] for row in rows}, counts)
    assert len(rows) > 1 and len(rows) == len(counts), what
    for group, _, hours in rows:
        known = [duration for duration in expected[group] if duration is not None]
        assert close(hours, sum(known) / 3600 if known else None, 0.0051), (what, group, hours)
