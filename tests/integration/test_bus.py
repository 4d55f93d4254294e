"""A Modbus bus on a real pseudo-terminal; short versions of `python -m tests.load bus`."""

from pathlib import Path

import pytest

from tests.load import bus

pytestmark = pytest.mark.integration

TRIES = 3
"""A machine that does something else makes every device late: one quiet while is proof enough."""


def test_two_ill_devices_do_not_disturb_the_others(tmp_path: Path) -> None:
    reports = []
    for number in range(TRIES):
        fine, report = bus.run_ill(tmp_path / str(number), seconds=15.0)
        reports += report
        if fine:
            return
    pytest.fail("\n".join(reports))


def test_a_bus_with_too_much_to_do_is_shared_fairly_and_complains(tmp_path: Path) -> None:
    fine, report = bus.run_overload(tmp_path / "bus", seconds=15.0)
    assert fine, "\n".join(report)
