"""Many seeds, one after the other or in several processes; a report for each that fails."""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

from tests.simulation.day import Outcome, run
from tests.simulation.mutants import MUTANTS
from tests.simulation.scenario import LENGTHS_S, Family, draw


@dataclass(frozen=True, slots=True)
class Result:
    """One seed's outcome, and what to print where it failed."""

    outcome: Outcome
    report: str


@dataclass(frozen=True, slots=True)
class Task:
    """One seed to run."""

    seed: int
    family: Family
    mutant: str = ""

    def run(self) -> Result:
        scenario = draw(self.seed, self.family)
        with MUTANTS[self.mutant]() if self.mutant else nullcontext():
            outcome = run(scenario)
        return Result(outcome, outcome.report(scenario) if outcome.violation else "")


def soak(tasks: Iterable[Task], jobs: int) -> Iterator[Result]:
    """The results as they come, in order."""
    if jobs == 1:
        yield from map(Task.run, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(Task.run, tasks)


def summary(family: Family, results: list[Result], started_s: float) -> list[str]:
    """Rates and sums."""
    seconds = time.monotonic() - started_s
    failed = [result.outcome.seed for result in results if result.outcome.violation]
    days = len(results) * LENGTHS_S[family] / LENGTHS_S[Family.DAY]
    sums = {
        name: sum(result.outcome.figures[name] for result in results)
        for name in (
            "readings",
            "acknowledged",
            "points",
            "dead",
            "evicted",
            "shed",
            "runs",
            "events",
        )
    }
    rates = f"{len(results) / seconds:.2f} seeds/s, {days / seconds:.2f} simulated days/s"
    return [
        f"{len(results)} seeds in {seconds:.1f} s: {rates}",
        ", ".join(f"{count:.0f} {name}" for name, count in sums.items()),
        f"{len(failed)} violations" + (f", seeds {failed}" if failed else ""),
    ]
