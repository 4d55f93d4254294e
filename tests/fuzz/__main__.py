"""The command: a million inputs for each decoder, or as many as are asked for."""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from gateway.devices import devices
from tests.fuzz import Failure, fuzz
from tests.fuzz.session import Tally
from tests.specimens import specimens


def main() -> int:
    """Fuzz, and print a line for each specimen; exit code 1 where one broke a law."""
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__)
    names = sorted({specimen.decoder for specimen in specimens().values()})
    parser.add_argument("--decoder", action="append", choices=names, help="only this; repeatable")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="for each specimen")
    parser.add_argument("--seed", type=int, default=1, help="the same does the same again")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    chosen = parser.parse_args()
    wanted = [
        name
        for name, specimen in specimens().items()
        if not chosen.decoder or specimen.decoder in chosen.decoder
    ]
    sys.stdout.write(
        f"{'specimen':<18}{'inputs':>10}{'frames':>10}{'decoded':>10}{'refused':>10}"
        f"{'buffered':>10}{'state':>10}{'seconds':>9}\n"
    )
    fine = True
    with ProcessPoolExecutor(chosen.jobs) as pool:
        args = [(name, chosen.inputs, chosen.seed) for name in wanted]
        for name, (outcome, seconds) in zip(wanted, pool.map(_timed, args), strict=True):
            fine = fine and not isinstance(outcome, Failure)
            sys.stdout.write(f"{_line(name, outcome, seconds)}\n")
            sys.stdout.flush()
    return 0 if fine else 1


def _timed(arguments: tuple[str, int, int]) -> tuple[Tally | Failure, float]:
    name, count, seed = arguments
    specimen = specimens()[name]
    started_s = time.monotonic()
    outcome = fuzz(devices()[specimen.decoder], specimen, count=count, seed=seed)
    return outcome, time.monotonic() - started_s


def _line(name: str, outcome: Tally | Failure, seconds: float) -> str:
    if isinstance(outcome, Failure):
        return f"{name:<18}FAILED after {seconds:.1f} s\n{outcome.report()}"
    return (
        f"{name:<18}{outcome.inputs:>10}{outcome.frames:>10}{outcome.decoded:>10}"
        f"{outcome.refused:>10}{outcome.buffered:>10}{outcome.state:>10}{seconds:>9.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
