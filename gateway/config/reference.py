"""The reference of every key, made from the models: `python -m gateway.config.reference`.

Run at the top of the source tree, it writes the tables of `docs/configuration.md`, between the two
markers there, and `docs/gateway.schema.json`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic.json_schema import JsonSchemaValue

from gateway.config.schema import allowed, node_at, resolved, schema

BEGIN: Final = "<!-- made by python -m gateway.config.reference -->\n"
END: Final = "<!-- end -->\n"

_NESTED: Final = (
    ("Policies in `when_full`", ("spool", "when_full")),
    ("Entries of `subscribe`", ("mqtt", 0, "subscribe", 0)),
    ("Rules in `fields`", ("serial", 0, "fields", "")),
)


def reference() -> str:
    """All tables, as Markdown."""
    sections = [_section(key, node) for key, node in schema()["properties"].items()]
    nested = [f"### {title}\n\n{_table(node_at(loc))}" for title, loc in _NESTED]
    return "\n".join(sections + nested)


def schema_text() -> str:
    """The JSON schema as a file."""
    return json.dumps(schema(), indent=2) + "\n"


def with_reference(page: str) -> str:
    """The page with the tables of today between its markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{reference()}\n{END}{after}"


def _section(key: str, node: JsonSchemaValue) -> str:
    header, table = (f"[[{key}]]", node["items"]) if "items" in node else (f"[{key}]", node)
    return f"### `{header}`\n\n{node['description']}\n\n{_table(table)}"


def _table(node: JsonSchemaValue) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in _rows(resolved(node)))


def _rows(table: JsonSchemaValue) -> Iterator[tuple[str, ...]]:
    yield "Key", "Value", "Default", "Meaning"
    yield "---", "---", "---", "---"
    required = table.get("required", ())
    for key, node in sorted(
        table["properties"].items(), key=lambda item: (item[0] != "name", item[0] not in required)
    ):
        yield f"`{key}`", allowed(node), _default(key, node, table), node["description"]


def _default(key: str, node: JsonSchemaValue, table: JsonSchemaValue) -> str:
    if key in table.get("required", ()):
        return "required"
    return f"`{json.dumps(node['default'])}`" if node.get("default", {}) != {} else ""


def _main() -> None:
    page = Path("docs/configuration.md")
    page.write_text(with_reference(page.read_text("utf-8")), "utf-8")
    Path("docs/gateway.schema.json").write_text(schema_text(), "utf-8")


if __name__ == "__main__":
    _main()
