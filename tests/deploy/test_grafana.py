"""The provisioned data source and dashboard agree with the dictionary, and with each other."""

import re
from itertools import combinations

import yaml  # type: ignore[import-untyped]

from gateway.quantities import QUANTITIES
from tests.deploy.grafana import GRAFANA, DataSource, Panel, interpolate, load_dashboard

CORE_PANELS = {"stat", "table", "timeseries"}

GRAFANA_UNITS = {
    "Cel": "celsius",
    "%": "percent",
    "hPa": "pressurehpa",
    "lx": "lux",
    "[ppm]": "ppm",
    "ug/m3": "conμgm3",
    "W": "watt",
    "kW.h": "kwatth",
    "m/s": "velocityms",
    "mm": "lengthmm",
}
"""UCUM to Grafana's identifiers (its `packages/grafana-data/src/valueFormats/categories.ts`)."""


def provisioning(name: str) -> object:
    content = (GRAFANA / "provisioning" / name).read_text(encoding="utf-8")
    parsed: object = yaml.safe_load(content)
    return parsed


def fields(query: str) -> list[str]:
    """The fields that a query reads: what its functions take in double quotes."""
    return re.findall(r'\("([^"]+)"\)', query)


def unit_of(panel: Panel, field: str) -> str:
    for override in panel.field_config.overrides:
        if override.matcher.options == field:
            return next(p.value for p in override.properties if p.id == "unit")
    return panel.field_config.defaults.unit


def test_every_field_is_of_the_dictionary_and_shown_in_its_unit() -> None:
    shown = {
        (field, unit_of(panel, field))
        for panel, target in load_dashboard().queries()
        for field in fields(target.query)
        if field != "$field"
    }
    assert shown == {(field, GRAFANA_UNITS[QUANTITIES[field].unit]) for field, _ in shown}
    assert {"temperature", "humidity", "carbon_dioxide", "pm25", "energy"} <= {f for f, _ in shown}


def test_only_counters_are_shown_as_increments() -> None:
    for panel, target in load_dashboard().queries():
        increments = "difference(" in target.query
        for field in fields(target.query):
            if field != "$field" and panel.type == "timeseries":
                assert QUANTITIES[field].counter is increments, (panel.title, field)


def test_every_panel_follows_the_choices_above_it() -> None:
    dashboard = load_dashboard()
    for panel, target in dashboard.queries():
        for wanted in ("$timeFilter", "/^$device$/", "/^$location$/"):
            assert wanted in target.query, panel.title
        assert target.raw_query
        assert (
            panel.datasource
            == target.datasource
            == DataSource(type="influxdb", uid="${datasource}")
        )


def test_nothing_beside_grafana_is_needed() -> None:
    assert {panel.type for panel in load_dashboard().panels} == CORE_PANELS


def test_panels_do_not_cover_each_other() -> None:
    panels = load_dashboard().panels
    assert len({panel.id for panel in panels}) == len(panels)
    for panel in panels:
        assert 0 <= panel.grid_pos.x < panel.grid_pos.x + panel.grid_pos.w <= 24
    for one, two in combinations([panel.grid_pos for panel in panels], 2):
        apart_x = one.x + one.w <= two.x or two.x + two.w <= one.x
        apart_y = one.y + one.h <= two.y or two.y + two.h <= one.y
        assert apart_x or apart_y


def test_the_dashboard_finds_the_provisioned_data_source() -> None:
    variable = load_dashboard().variables()["datasource"]
    match provisioning("datasources/sensor-gateway.yaml"):
        case {
            "apiVersion": 1,
            "datasources": [
                {"type": kind, "uid": uid, "access": "proxy", "jsonData": {"dbName": database}}
            ],
        }:
            assert (kind, uid) == (variable.query, variable.current.value)
            assert database == "sensors"
        case other:
            raise AssertionError(other)


def test_grafana_looks_for_dashboards_where_the_guide_puts_them() -> None:
    guide = (GRAFANA.parents[1] / "docs" / "grafana.md").read_text(encoding="utf-8")
    match provisioning("dashboards/sensor-gateway.yaml"):
        case {"apiVersion": 1, "providers": [{"type": "file", "options": {"path": str(path)}}]}:
            assert f"deploy/grafana/dashboards/sensors.json {path}/" in guide
        case other:
            raise AssertionError(other)


def test_names_that_mean_something_in_a_regular_expression_are_escaped() -> None:
    variables = load_dashboard().variables()
    query = '"device" =~ /^$device$/ AND "location" =~ /^$location$/'
    chosen = {"device": ["a.b", "c/d"], "location": ["$__all"]}
    assert interpolate(query, variables, chosen=chosen) == (
        r'"device" =~ /^(a\.b|c\/d)$/ AND "location" =~ /^.*$/'
    )
