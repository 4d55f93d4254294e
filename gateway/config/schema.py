"""The JSON schema of the configuration, and the words that say what a key may be.

Editors read the schema; problems and the reference take their words from the same nodes, so that
all three always agree.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.config.models import Config

Loc = tuple[str | int, ...]

_KINDS: Final = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}


class _Generator(GenerateJsonSchema):
    """Without the titles that only repeat a key's name."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """TOML has no null: such a key is simply absent."""
        return self.generate_inner(schema["schema"])


@cache
def schema() -> JsonSchemaValue:
    """The whole schema."""
    generated = Config.model_json_schema(schema_generator=_Generator)
    for table in (generated, *generated["$defs"].values()):
        for node in table["properties"].values():
            if node.get("default", ...) is None:
                del node["default"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | generated


def node_at(loc: Sequence[str | int]) -> JsonSchemaValue:
    """What the schema says of a key; empty where it says nothing."""
    node = schema()
    for step in loc:
        node = resolved(node)
        if isinstance(step, int):
            node = node.get("items", {})
        else:
            other = node.get("additionalProperties")
            node = node.get("properties", {}).get(step, other if isinstance(other, dict) else {})
    return node


def resolved(node: JsonSchemaValue) -> JsonSchemaValue:
    """The table that a reference stands for."""
    name = str(node.get("$ref", "")).rpartition("/")[2]
    return schema()["$defs"][name] if name else node


def keys_at(loc: Sequence[str | int]) -> list[str]:
    """The keys of a table."""
    return list(resolved(node_at(loc)).get("properties", {}))


def allowed(node: JsonSchemaValue) -> str:
    """What may be written there, in words."""
    if "enum" in node:
        *others, last = [f'"{v}"' if isinstance(v, str) else str(v) for v in node["enum"]]
        return f"{', '.join(others)} or {last}"
    if "$ref" in node or "properties" in node:
        required = resolved(node).get("required", [])
        return f"a table with {', '.join(required)}" if required else "a table"
    if node.get("type") == "array":
        return str(node.get("title", "a list of tables"))
    if node.get("type") == "object":
        return f"a table of {_plural(resolved(node['additionalProperties']))}"
    if "minimum" in node:
        return f"a whole number from {node['minimum']} to {node['maximum']}"
    return str(node.get("title") or _KINDS.get(node.get("type", ""), "another value"))


def _plural(node: JsonSchemaValue) -> str:
    return "tables" if "properties" in node else "texts"
