"""Every query of the dashboard against a real InfluxDB that holds what the gateway writes.

The points are made by the gateway's own decoder, normalizer and encoder from what devices say, in
the devices' own names and units: whoever renames a field finds an empty panel here.
"""

import re
import time
import urllib.request
from collections.abc import Iterator, Mapping

import orjson
import pytest

from gateway.catalogue import Catalogue
from gateway.devices import devices
from gateway.ledger import Ledger
from gateway.model import Frame
from gateway.normalize import Normalizer
from gateway.pipeline import Pipeline
from gateway.series import SeriesRegistry
from gateway.sinks.line_protocol import encode
from tests.deploy.grafana import GRAFANA, Panel, Target, interpolate, load_dashboard
from tests.integration.influxd import Influxd, needs_influxd

pytestmark = [pytest.mark.integration, needs_influxd]

DATABASE = "sensors"
HOUR_S = 3600
STEP_S = 300
HOURS = 6
NOW_S = int(time.time()) // HOUR_S * HOUR_S
RANGE_MS = ((NOW_S - HOURS * HOUR_S) * 1000, NOW_S * 1000)

DASHBOARD = load_dashboard()
QUERIES = [
    pytest.param(panel, target, id=f"{panel.title} {target.ref_id}")
    for panel, target in DASHBOARD.queries()
]

Row = Mapping[str, object]


def messages(step: int) -> list[tuple[dict[str, str], dict[str, object]]]:
    """What the devices say at a step: the topic's placeholders and the payload."""
    grown = step / 10
    return [
        (
            {"device": "bme280", "location": "attic"},
            {"temperature": 21.5, "humidity": 48.0, "pressure": 1013.2, "lux": 310},
        ),
        (
            {"device": "weather/mast.1", "location": "roof"},
            {
                "temperature_F": 70.7,
                "wind_avg_km_h": 12.0,
                "wind_max_km_h": 21.0,
                "rain_mm": grown,
                "battery_ok": 1,
                "barometer": 1009.0,
                "mslp": 1017.0,
            },
        ),
        ({"device": "air"}, {"co2": 612, "pm1_0": 3, "pm2_5": 5, "pm10": 9}),
        ({"device": "meter", "channel": "1"}, {"active_power": 120.0, "total_energy": grown}),
        ({"device": "meter", "channel": "2"}, {"active_power": 340.0, "total_energy": 2 * grown}),
        (
            {"device": "house", "phase": "l1"},
            {"power": -200.0, "import_energy": 7 + grown, "export_energy": 3 + grown},
        ),
    ]


def lines() -> Iterator[bytes]:
    """What the gateway sends to InfluxDB for them."""
    ledger = Ledger()
    account = ledger.account("home", "mqtt")
    pipelines = {
        measurement: Pipeline(
            account,
            ledger,
            devices()["json"].decoder(),
            Normalizer(
                account=account,
                ledger=ledger,
                catalogue=Catalogue([]),
                registry=SeriesRegistry(),
                measurement=measurement,
                tags={},
                rules={},
            ),
        )
        for measurement in ("sensor", "climate")
    }
    for step in range(HOURS * HOUR_S // STEP_S):
        time_ns = (NOW_S - HOURS * HOUR_S + step * STEP_S) * 10**9
        for captures, payload in messages(step):
            measurement = "climate" if captures["device"] == "bme280" else "sensor"
            topic = "/".join(captures.values())
            frame = Frame(orjson.dumps(payload), time_ns, topic, captures)
            yield from map(encode, pipelines[measurement].process(frame))
    assert not ledger.losses
    yield b'units,field=temperature,measurement=sensor unit="Cel" %d' % (NOW_S * 10**9)


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    with Influxd(tmp_path_factory.mktemp("grafana")) as server:
        server.query(f'CREATE DATABASE "{DATABASE}"')
        url = f"{server.url}/write?db={DATABASE}"
        with urllib.request.urlopen(url, b"\n".join(lines()), 20) as answer:  # noqa: S310
            assert answer.status == 204
        yield server


def run(
    server: Influxd, query: str, interval: str = "5m", **chosen: str | list[str]
) -> list[dict[str, object]]:
    variables = DASHBOARD.variables()
    return server.query(
        interpolate(query, variables, range_ms=RANGE_MS, interval=interval, chosen=chosen), DATABASE
    )


def query_of(title: str, ref_id: str = "A") -> str:
    return next(
        target.query
        for panel, target in DASHBOARD.queries()
        if (panel.title, target.ref_id) == (title, ref_id)
    )


@pytest.mark.parametrize(("panel", "target"), QUERIES)
def test_every_panel_shows_something(influxd: Influxd, panel: Panel, target: Target) -> None:
    rows = run(influxd, target.query)
    tags = {"time", "device", "location", "channel", "phase"}
    values = [value for row in rows for name, value in row.items() if name not in tags]
    assert any(isinstance(value, float | int) for value in values), panel.title


@pytest.mark.parametrize("name", ["location", "device", "field"])
def test_every_variable_offers_its_values(influxd: Influxd, name: str) -> None:
    rows = run(influxd, DASHBOARD.variables()[name].query)
    offered = {str(row["fieldKey" if name == "field" else "value"]) for row in rows}
    expected = {
        "location": {"attic", "roof"},
        "device": {"bme280", "weather/mast.1", "air", "meter", "house"},
        "field": {"temperature", "wind_gust", "pm25"},
    }
    assert expected[name] <= offered


def test_a_chosen_location_narrows_the_devices(influxd: Influxd) -> None:
    rows = run(influxd, DASHBOARD.variables()["device"].query, location=["roof"])
    assert [row["value"] for row in rows] == ["weather/mast.1"]


def test_a_device_is_found_by_its_name_as_it_stands(influxd: Influxd) -> None:
    rows = run(influxd, query_of("Temperature"), device=["weather/mast.1"])
    assert {row["device"] for row in rows} == {"weather/mast.1"}
    assert rows[0]["mean"] == pytest.approx(21.5)


def test_one_quantity_from_two_vendors_and_measurements_in_one_panel(influxd: Influxd) -> None:
    rows = run(influxd, query_of("Temperature"))
    assert {row["device"] for row in rows} == {"weather/mast.1", "bme280"}
    assert {round(float(str(row["mean"])), 6) for row in rows} == {21.5}


def test_channels_of_a_device_are_not_averaged(influxd: Influxd) -> None:
    rows = run(influxd, query_of("Power"), device=["meter"])
    assert {(row["channel"], row["mean"]) for row in rows} == {("1", 120), ("2", 340)}


def test_every_device_is_counted_once(influxd: Influxd) -> None:
    rows = run(influxd, query_of("Devices"))
    assert sorted(str(row["device"]) for row in rows) == [
        "air",
        "bme280",
        "house",
        "meter",
        "weather/mast.1",
    ]


def test_energy_is_what_the_meter_moved_on_in_the_hour(influxd: Influxd) -> None:
    rows = run(influxd, query_of("Energy per hour"), device=["meter"])
    second = [row["non_negative_difference"] for row in rows if row["channel"] == "2"]
    assert len(second) == HOURS - 1
    assert second == pytest.approx([2 * HOUR_S / STEP_S / 10] * (HOURS - 1))


def test_the_table_has_a_row_for_each_part_of_a_device(influxd: Influxd) -> None:
    rows = run(influxd, query_of("Latest values"))
    table = {(row["device"], row["channel"]): row for row in rows}
    assert table["air", ""]["carbon_dioxide"] == 612
    assert table["meter", "2"]["power"] == 340
    assert table["weather/mast.1", ""]["battery"] == 100
    assert table["bme280", ""]["location"] == "attic"


def test_the_free_panel_shows_the_chosen_field(influxd: Influxd) -> None:
    rows = run(influxd, query_of("$field"), field="wind_gust")
    assert rows[-1]["last"] == pytest.approx(21 / 3.6)


def test_the_queries_of_the_guide_work(influxd: Influxd) -> None:
    guide = (GRAFANA.parents[1] / "docs" / "grafana.md").read_text(encoding="utf-8")
    queries = re.findall(r"```\n(SELECT [^`]+)```", guide)
    assert len(queries) == 2
    for query in queries:
        assert run(influxd, " ".join(query.split())), query
