"""docs/decoders.md: every example on the page is run, and every option and limit stands there."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.conformance import Vector, readings_of
from gateway.devices import devices
from gateway.framing.delimited import LINE_MAX
from gateway.model import Reading, Reason
from gateway.objects import BATCH_MAX, FIELDS_MAX, TIME_NAMES

PAGE = (Path(__file__).parent.parent / "docs" / "decoders.md").read_text()
EXAMPLE = re.compile(
    r"<!-- example: (\w+)(?: ({[^\n]*}))?(?: (\S+))? -->\n```text\n(.*?)```\n```json\n(.*?)```",
    re.DOTALL,
)


class Example(NamedTuple):
    decoder: str
    options: str
    topic: str
    received: str
    readings: str


EXAMPLES = [Example(*groups) for groups in EXAMPLE.findall(PAGE)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.received.split("\n")[0])
def test_an_example_is_true(example: Example) -> None:
    vector = Vector(b"", (), json.loads(example.options or "{}"), example.topic)
    device = devices()[example.decoder]
    chunks = [b"\n", example.received.encode()] if device.framer else [example.received.encode()]
    shown = [
        json.dumps(as_shown(r), ensure_ascii=False) for r in readings_of(device, chunks, vector)
    ]
    assert shown == example.readings.splitlines()


def as_shown(reading: Reading) -> dict[str, object]:
    shown: dict[str, object] = {"values": dict(reading.values)}
    if reading.units:
        shown["units"] = dict(reading.units)
    if reading.device:
        shown["device"] = reading.device
    if reading.observed_at_ns is not None:
        time = datetime.fromtimestamp(reading.observed_at_ns / 1e9, UTC)
        shown["time"] = time.isoformat().replace("+00:00", "Z")
    return shown


def test_no_example_is_overlooked() -> None:
    assert len(EXAMPLES) == PAGE.count("<!-- example") == PAGE.count("```text")


def test_every_option_and_limit_stands_on_the_page() -> None:
    for name in ("json", "text", "value"):
        assert f"## `{name}`" in PAGE
        assert all(f"`{option}`" in PAGE for option in devices()[name].options)
    assert all(f"`{name}`" in PAGE for name in TIME_NAMES)
    assert all(f"{limit:,}" in PAGE for limit in (LINE_MAX, FIELDS_MAX, BATCH_MAX))


def test_every_reason_is_explained() -> None:
    console = (Path(__file__).parent.parent / "docs" / "console.md").read_text()
    assert [reason for reason in Reason if f"`{reason}`" not in PAGE + console] == []
