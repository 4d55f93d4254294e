"""The whole gateway in simulated worlds: as many seeds as fit, and the same seed twice."""

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.simulation.day import run
from tests.simulation.scenario import Family, draw
from tests.simulation.soak import Task

SECONDS = 60.0
SEEDS_MIN = 20
FIRST = {Family.DAY: 1_000, Family.STORM: 2_000, Family.AMNESIA: 3_000}
"""Seeds that nobody has looked at while the gateway was written."""


def test_as_many_seeds_as_fit(record_testsuite_property: Callable[[str, object], None]) -> None:
    """In turn a day, a storm, and a broker without memory; slow machines do fewer."""
    started_s = time.monotonic()
    done = 0
    while done < SEEDS_MIN or time.monotonic() - started_s < SECONDS:
        family = list(Family)[done % 3]
        result = Task(FIRST[family] + done // 3, family).run()
        assert not result.outcome.violation, f"{family}\n{result.report}"
        done += 1
    record_testsuite_property("simulated seeds", done)
    sys.stdout.write(f"{done} seeds in {time.monotonic() - started_s:.0f} s\n")


@pytest.mark.parametrize("family", list(Family))
def test_a_seed_does_the_same_again(family: Family) -> None:
    """Also in another process, where text has other hashes and objects lie elsewhere."""
    seed = 7
    outcome = run(draw(seed, family))
    again = run(draw(seed, family))
    assert again == outcome
    code = (
        "from tests.simulation.day import run; from tests.simulation.scenario import *;"
        f"print(run(draw({seed}, Family({family.value!r}))).trace)"
    )
    for hash_seed in ("1", "2"):
        other = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        )
        assert other.stdout.strip() == outcome.trace


def test_seeds_differ() -> None:
    traces = {run(draw(seed, Family.AMNESIA)).trace for seed in range(5)}
    assert len(traces) == 5


def test_a_report_names_the_seed_the_time_and_what_happened_last() -> None:
    result = Task(1, Family.STORM, "acknowledge-before-commit").run()
    seed, *rest, last = result.report.splitlines()
    assert seed.startswith("seed 1: at ")
    assert "acknowledged and on no disk" in seed
    assert "VIOLATION" in last
    assert any(" acknowledged " in line for line in rest)
    assert any(" arrived " in line for line in rest)


@pytest.mark.parametrize(("mutant", "exit_code"), [("", 0), ("acknowledge-before-commit", 1)])
def test_the_command_prints_its_rate_and_says_by_its_exit_code_what_it_found(
    mutant: str, exit_code: int
) -> None:
    command = [sys.executable, "-m", "tests.simulation", "--family", "amnesia", "--jobs", "2"]
    found = subprocess.run(
        [*command, "--seeds", "3", *(["--mutant", mutant] if mutant else [])],
        check=False,
        capture_output=True,
        text=True,
    )
    assert found.returncode == exit_code
    assert "seeds/s" in found.stdout
    assert "simulated days/s" in found.stdout
    assert ("0 violations" in found.stdout) == (not mutant)
    assert found.stdout.count("seed ") == (3 if mutant else 0)
