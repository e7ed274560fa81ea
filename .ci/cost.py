"""Recomputes the results in docs/cost.md from its other tables, and compares its quantities with code and template.

Usage:
    cost.py            fails if the document is wrong
    cost.py DIR        also fails if the meeting in DIR differs from the measured one; `cargo dev --once --data DIR`
                       plays that meeting
    cost.py --write    writes the right figures into the tables of results
"""

import pathlib
import re
import sqlite3
import sys

DOCUMENT = pathlib.Path("docs/cost.md")
problems = []


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables_of(lines):
    """Returns the rows, the header, and the place of each table, by the first cell of its header."""
    tables, begin = {}, None
    for number, line in enumerate([*lines, ""]):
        if line.startswith("|"):
            begin = number if begin is None else begin
        elif begin is not None:
            head, _, *rows = map(cells, lines[begin:number])
            tables[head[0]] = (rows, head, slice(begin + 2, number))
            begin = None
    return tables


def amount(text):
    """Returns the value of a number, or of sums and products like `43,800 × (1 + 0.5)`."""
    plain = text.strip("*").replace(",", "").replace("×", "*")
    if not re.fullmatch(r"[\d.\s*+()]+", plain):
        sys.exit(f"not a number: {text!r}")
    return float(eval(plain, {"__builtins__": {}}))


def results(tables):
    """Returns the rows of the tables of results, which follow from all other tables."""
    rows = {name: table[0] for name, table in tables.items()}
    service = {row[0]: row[1] for row in rows["Price"]}
    price = {row[0]: amount(row[2]) / amount(row[3]) for row in rows["Price"]}
    kept = {row[0] for row in rows["Price"] if "kept a month" in row[4]}
    costs = lambda name, column=2: [(row[1], price[row[1]] * amount(row[column])) for row in rows[name]]
    sizes = [amount(size) for size in tables["USD a month"][1][1:]]
    months = [
        [(what, size * cost) for what, cost in costs("Each recording")] + costs("Each month") + costs("By size", column)
        for column, size in enumerate(sizes, 2)
    ]
    totals = lambda wanted: [sum(cost for what, cost in month if wanted(what)) for month in months]
    aws, recall = totals(lambda what: service[what] != "Recall"), totals(lambda what: service[what] == "Recall")
    later = totals(lambda what: what in kept)
    twelfth = [first + 11 * again for first, again in zip(aws, later)]
    line = lambda label, values, form="{:,.2f}": [label, *map(form.format, values)]
    month = [
        line(name, of_service) for name in dict.fromkeys(service.values())
        if name != "Recall" and any(of_service := totals(lambda what: service[what] == name))
    ] + [
        line("**AWS, the first month**", aws),
        line("of this, storage, which is paid again every month", later),
        line("**AWS, the twelfth month, if everything is kept**", twelfth),
        line("AWS, the first month, per recording", [cost / size for cost, size in zip(aws, sizes)], "{:.5f}"),
        line("**Recall**", recall),
        line("AWS as a share of the total", [cost / (cost + other) for cost, other in zip(aws, recall)], "{:.2%}"),
    ]
    options = {}
    for (option, *_), (what, cost) in zip(rows["Option"], costs("Option")):
        first, again = options.get(option, (0, 0))
        options[option] = first + 1e6 * cost, again + 1e6 * cost * (what in kept)
    chosen = [line(option, values) for option, values in options.items()]
    recording = sum(cost for what, cost in costs("Each recording") if service[what] != "Recall")
    delivery, transcript = sum(cost for _, cost in costs("One delivery")), price["recall-transcript"]
    proportion = [
        ["AWS for one recording, without fixed costs", f"USD {recording:.6f}"],
        ["AWS for one delivery that is only handed over", f"USD {delivery:.8f}"],
        ["Recall for one transcript of an hour", f"USD {transcript:.2f}"],
        ["One unnecessary transcript costs as much as AWS for this many recordings", f"{transcript / recording:,.0f}"],
        ["One unnecessary transcript costs as much as AWS for this many deliveries", f"{transcript / delivery:,.0f}"],
    ]
    return {"USD a month": month, "One option, for a million recordings": chosen, "In proportion": proportion}


def compare_with_code(tables):
    for what, file, text in tables["In the code"][0]:
        # `A … b c` means that `b c` begins at the first `b` after A.
        first, *others = text.strip("`").split(" … ")
        steps = [rf"(?:(?!{re.escape(other.split()[0])}).)*{re.escape(other)}" for other in others]
        plain = " ".join(pathlib.Path(file.strip("`")).read_text().split())
        if not re.search("".join([re.escape(first), *steps]), plain):
            problems.append(f"{what}: {text} is not in {file}")
    metrics_rs = pathlib.Path("shared/pipeline/src/metrics.rs").read_text()
    in_code = set(re.findall(r'^    [A-Z_]+ = "(\w+)", \w+, \[', metrics_rs, re.MULTILINE))
    *metrics, total = tables["Metric"][0]
    if odd := in_code ^ {name for row in metrics for name in re.findall(r"`(\w+)`", row[0])}:
        problems.append(f"these metrics are either in the code or in the document, but not in both: {sorted(odd)}")
    sums = [sum(amount(row[column]) for row in metrics) for column in (2, 3)]
    if sums != [amount(total[2]), amount(total[3])]:
        problems.append(f"the sums of the metrics are {sums}, not those in the document")
    resources = re.split(r"^  (?=\w+:$)", pathlib.Path("template.yaml").read_text(), flags=re.MULTILINE)
    indexes = sum(text.count("IndexName:") for text in resources)
    if indexes + 1 != sum(row[1] == "table-write" for row in tables["Each recording"][0]):
        problems.append(f"a save writes to the table and its {indexes} indexes, but the document counts other writes")
    of_type = lambda name: [text for text in resources if re.search(rf"Type: {name}$", text, re.MULTILINE)]
    # AWS charges an alarm on several metrics once for each of them.
    alarms = sum(max(1, text.count("MetricStat:")) for text in of_type("AWS::CloudWatch::Alarm"))
    expected = {"metric": sums[1], "alarm": alarms, "dashboard": len(of_type("AWS::CloudWatch::Dashboard"))}
    for what, count in expected.items():
        stated = sum(amount(row[2]) for row in tables["Each month"][0] if row[1] == what)
        if stated != count:
            problems.append(f"{what}: the document says {stated:g}, but code and template have {count:g}")


def compare_with_meeting(tables, data):
    bucket = data / "s3/transcripts"
    # Documents for knowledge bases are an option, which `.ci/run` chooses.
    folders = [folder for folder in bucket.iterdir() if folder.name != "knowledge"]
    objects = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    size_of = lambda name: sum(path.stat().st_size for path in objects if path.match(name))
    verbatim, whole = size_of("transcript.json"), size_of("*")
    logs = b"".join((data / f"logs/{name}.log").read_bytes() for name in ("webhook", "transcript"))
    table = sqlite3.connect(f"file:{data}/dynamodb.sqlite?mode=ro", uri=True)
    [(row,)] = table.execute("SELECT item_size FROM jobs WHERE pk <> 'S:sweep'")
    measured = [len(objects), verbatim, whole - verbatim, logs.count(b"\n"), len(logs), row]
    for (what, stated, within), now in zip(tables["Measured"][0], measured, strict=True):
        if abs(now / amount(stated) - 1) > amount(within):
            problems.append(f"{what}: the document says {stated}, but this meeting has {now:,}")


lines = DOCUMENT.read_text().splitlines()
for name, rows in results(tables_of(lines)).items():
    new, place = [f"| {' | '.join(row)} |" for row in rows], tables_of(lines)[name][2]
    if sys.argv[1:] == ["--write"]:
        lines[place] = new
    elif lines[place] != new:
        problems.append(f"the table {name!r} should have these rows, which cost.py --write writes:")
        problems += [row for row in new if row not in lines[place]]
if sys.argv[1:] == ["--write"]:
    DOCUMENT.write_text("\n".join([*lines, ""]))
elif len(sys.argv) > 1:
    compare_with_meeting(tables_of(lines), pathlib.Path(sys.argv[1]))
compare_with_code(tables_of(lines))
sys.exit("\n".join(problems) or 0)
