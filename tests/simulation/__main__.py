"""Soak: `python -m tests.simulation --seeds 500`; exit code 1 where a seed has a violation.

A seed that fails does the same again: `--first SEED --seeds 1`, in the same family.
"""

import argparse
import sys
import time

from tests.simulation import outage
from tests.simulation.mutants import MUTANTS
from tests.simulation.scenario import Family
from tests.simulation.soak import Task, soak, summary

PROGRESS_S = 10.0


def main() -> int:
    """Run the seeds, and print what failed and the rates."""
    parser = argparse.ArgumentParser("python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--family", type=Family, choices=list(Family), default=Family.DAY)
    parser.add_argument("--mutant", choices=sorted(MUTANTS), default="", help="a broken gateway")
    parser.add_argument("--outage", type=float, metavar="HOURS", help="instead: InfluxDB is away")
    options = parser.parse_args()
    if options.outage:
        fine, report = outage.report(options.outage * 3600.0)
        _say(*report)
        return 0 if fine else 1
    seeds = range(options.first, options.first + options.seeds)
    tasks = [Task(seed, options.family, options.mutant) for seed in seeds]
    started_s = said_s = time.monotonic()
    results = []
    for result in soak(tasks, options.jobs):
        results.append(result)
        if result.report:
            _say(result.report, "")
        if time.monotonic() - said_s > PROGRESS_S:
            said_s = time.monotonic()
            _say(f"{len(results)} of {len(tasks)} seeds")
    _say(*summary(options.family, results, started_s))
    return 1 if any(result.report for result in results) else 0


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join((*lines, "")))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
