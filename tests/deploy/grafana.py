"""The dashboard as Grafana reads it, and its queries as Grafana's InfluxDB data source sends them.

Grafana itself is not run. What it does to a query: `interpolateQueryExpr` in its
`public/app/plugins/datasource/influxdb/datasource.ts`, `$timeFilter` and `$__interval` in its
`pkg/tsdb/influxdb`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GRAFANA = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
ALL = "$__all"

_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}/]")


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class DataSource(_Part):
    type: str
    uid: str


class Target(_Part):
    ref_id: str
    datasource: DataSource
    query: str
    raw_query: bool
    result_format: str
    alias: str = ""


class Property(_Part):
    id: str
    value: str


class Matcher(_Part):
    id: str
    options: str


class Override(_Part):
    matcher: Matcher
    properties: list[Property]


class Defaults(_Part):
    unit: str = ""


class FieldConfig(_Part):
    defaults: Defaults
    overrides: list[Override]


class Position(_Part):
    x: int
    y: int
    w: int
    h: int


class Panel(_Part):
    id: int
    type: str
    title: str
    datasource: DataSource
    grid_pos: Position
    targets: list[Target]
    field_config: FieldConfig


class Chosen(_Part):
    value: str | list[str]


class Variable(_Part):
    name: str
    type: str
    query: str
    current: Chosen
    multi: bool = False
    include_all: bool = False
    all_value: str = ""


class Variables(_Part):
    list: list[Variable]


class Dashboard(_Part):
    uid: str
    title: str
    templating: Variables
    panels: list[Panel] = Field(min_length=1)

    def variables(self) -> dict[str, Variable]:
        return {variable.name: variable for variable in self.templating.list}

    def queries(self) -> list[tuple[Panel, Target]]:
        return [(panel, target) for panel in self.panels for target in panel.targets]


def load_dashboard() -> Dashboard:
    content = (GRAFANA / "dashboards" / "sensors.json").read_text(encoding="utf-8")
    return Dashboard.model_validate_json(content)


def interpolate(
    query: str,
    variables: Mapping[str, Variable],
    *,
    range_ms: tuple[int, int] = (0, 0),
    interval: str = "1m",
    chosen: Mapping[str, str | Sequence[str]] | None = None,
) -> str:
    """The query that reaches InfluxDB.

    Args:
        query: as it stands in the dashboard.
        variables: the dashboard's.
        range_ms: the dashboard's time range.
        interval: what Grafana makes of the range and the panel's width.
        chosen: values of variables other than their defaults.
    """
    begin_ms, end_ms = range_ms
    query = query.replace("$timeFilter", f"time >= {begin_ms}ms and time <= {end_ms}ms")
    query = query.replace("$__interval", interval)
    for name, variable in variables.items():
        value = (chosen or {}).get(name, variable.current.value)
        text = _text(variable, value).replace("\\", r"\\")
        query = re.sub(rf"\${name}\b", text, query)
    assert "${" not in query
    return query


def _text(variable: Variable, value: str | Sequence[str]) -> str:
    """One variable's text: all, several or one of its values."""
    values = [value] if isinstance(value, str) else list(value)
    if values == [ALL]:
        assert variable.include_all
        return variable.all_value
    if not variable.multi:
        (single,) = values
        return single
    return "(" + "|".join(_SPECIAL.sub(r"\\\g<0>", each) for each in values) + ")"
