"""Reads docs/querying.md: its statements, by name and engine, and the columns of its tables."""

import pathlib
import re

import sqlglot
from sqlglot import exp

PAGE = pathlib.Path(__file__).parents[2] / "docs/querying.md"
# A comment above a block gives its name and its engines.
UNNEST = re.compile(r"CROSS JOIN UNNEST\((\w+)\) AS (\w+)\(")
BLOCK = re.compile(r"^<!-- sql: (\S+) ([a-z ]+) -->\n```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def statements(engine):
    """Returns the page's statements for this engine, by name."""
    found = [(name, sql) for name, engines, sql in BLOCK.findall(PAGE.read_text()) if engine in engines.split()]
    by_name = dict(found)
    assert len(by_name) == len(found) > 5, [name for name, _ in found]
    return by_name


def for_duckdb(sql):
    """Translates a statement for Athena to DuckDB. Fails if it does not follow Athena's grammar."""
    (translated,) = sqlglot.transpile(sql, read="athena", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)
    # Athena makes a column of each field of a structure, and DuckDB only if it is told to.
    return UNNEST.sub(r"CROSS JOIN LATERAL (SELECT unnest(\1, recursive := true)) AS \2(", translated)


class Table:
    """A table that the page creates in Athena."""

    def __init__(self, ddl):
        create = sqlglot.parse_one(ddl, read="athena")
        self.name = create.this.this.sql()
        self.columns = self._columns(create.this.expressions)
        properties = create.args["properties"]
        self.partitions = self._columns(properties.find(exp.PartitionedByProperty).this.expressions)
        self.serde = properties.find(exp.RowFormatSerdeProperty).this.name
        self.location = properties.find(exp.LocationProperty).this.name
        # The contents of TBLPROPERTIES.
        self.properties = {p.name: p.args["value"].name for p in properties.expressions if type(p) is exp.Property}

    @staticmethod
    def _columns(definitions):
        return [(column.name, column.args["kind"].sql("hive").lower().replace(" ", "")) for column in definitions]

    def duckdb_columns(self):
        """Returns the same columns for DuckDB's `read_json`."""
        types = {name: exp.DataType.build(kind, dialect="hive").sql("duckdb") for name, kind in self.columns}
        return {name: re.sub(r"\bTEXT\b", "VARCHAR", kind) for name, kind in types.items()}


def of_template(expanded, name):
    """Returns the same table in the expanded template, with the fields of a `Table`."""
    tables = [r["Properties"]["TableInput"] for r in expanded["Resources"].values() if r["Type"] == "AWS::Glue::Table"]
    (table,) = [table for table in tables if table["Name"] == name]
    storage = table["StorageDescriptor"]

    def named(place):
        # The page uses no key prefix, and BUCKET for the name of the bucket.
        return place["Fn::Sub"].replace("${TranscriptsBucket}/${KeyPrefix}", "BUCKET/").replace("${!", "${")

    properties = {name: value for name, value in table["Parameters"].items() if name != "EXTERNAL"}
    properties["storage.location.template"] = named(properties["storage.location.template"])
    return {
        "name": table["Name"],
        "columns": [(column["Name"], column["Type"]) for column in storage["Columns"]],
        "partitions": [(column["Name"], column["Type"]) for column in table["PartitionKeys"]],
        "serde": storage["SerdeInfo"]["SerializationLibrary"],
        "location": named(storage["Location"]),
        "properties": properties,
    }
