"""Compares answers with what is expected."""

# The first day of the queries on the page.
SINCE = "2026-11-01"


def seconds(millis):
    return None if millis is None else millis / 1000


def close(answer, expected, by):
    return answer is None if expected is None else answer is not None and abs(answer - expected) <= by


def same(what, answer, expected):
    if answer != expected:
        first = ([answer], [expected])
        if isinstance(answer, list) and len(answer) == len(expected):
            first = next(([a], [e]) for a, e in zip(answer, expected) if a != e)
        raise SystemExit(f"{what}: wrong\nanswer   {first[0][0]}\nexpected {first[1][0]}")
