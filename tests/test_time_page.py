"""docs/time.md: its configuration is valid, and its figures are those of the code."""

import re
from pathlib import Path

import pytest

from gateway.config import load
from gateway.config.sources import Mqtt
from gateway.times import FLOOR_NS, FUTURE_MAX_NS, PAST_MAX_NS
from tests.fakes import Machine

PAGE = (Path(__file__).parent.parent / "docs" / "time.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.+?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid(example: str, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(example)
    config = load(path, environ={})
    for entry in config.mqtt:
        assert isinstance(entry, Mqtt)
        assert entry.subscribe[0].options() == {"time": "read_at", "timezone": "Europe/Berlin"}


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 2


def test_the_figures_are_those_of_the_code(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("")
    gateway = load(path, environ={"HOME": "/home/pi"}).gateway
    assert (gateway.clock, gateway.clock_wait) == ("auto", 600.0)
    assert "**`clock_wait`** (10 minutes)" in PAGE
    assert PAST_MAX_NS == 7 * 86_400 * 10**9
    assert FUTURE_MAX_NS == 60 * 10**9
    assert "between 7 days before and 1 minute after the arrival" in PAGE
    assert FLOOR_NS == 1_735_689_600 * 10**9
    assert "stands **before 2025** is never believed" in PAGE


def test_what_the_operator_reads_is_what_the_clock_says() -> None:
    clock = Machine(synchronized=False).clock()
    assert f"clock: {clock.problem}: 312 readings wait for their time" in PAGE
