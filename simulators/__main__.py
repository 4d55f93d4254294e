"""`python -m simulators SCENARIO.toml`: run software devices for a time or until a signal comes.

Standard output carries the gateway's configuration (unless quiet) and, as its last line, the totals
as one JSON object. Exit code 0: fine; 1: failed, or messages left without confirmation; 2: wrong
scenario or usage.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from simulators.checked import duration
from simulators.configuration import configuration
from simulators.runner import Runner
from simulators.scenario import Scenario, ScenarioError, load
from simulators.tally import Tally

FINE, FAILED, WRONG = 0, 1, 2
EXAMPLE = (
    "example: python -m simulators simulators/scenarios/demo.toml --seconds 60 --directory /tmp"
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        scenario = load(options.scenario, directory=options.directory, broker_url=options.broker)
    except ScenarioError as error:
        sys.stderr.write(f"simulators: wrong scenario: {error}\n")
        return WRONG
    try:
        return asyncio.run(_run(scenario, options))
    except OSError as error:
        sys.stderr.write(f"simulators: {error}\n")
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m simulators", description=_summary(), epilog=EXAMPLE)
    parser.add_argument("scenario", type=Path, metavar="SCENARIO", help="the scenario file, TOML")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        metavar="N",
        help="run for so long; 0 only prints the configuration",
    )
    parser.add_argument(
        "--directory", type=Path, default=Path.cwd(), help="where relative links go (default: here)"
    )
    parser.add_argument(
        "--broker",
        default="",
        metavar="URL",
        help="mqtt://[user:password@]host[:port], not the file's",
    )
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write every reading sent, as JSON lines"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="write the gateway's configuration there as well",
    )
    parser.add_argument("--quiet", action="store_true", help="print the totals only")
    return parser


def _summary() -> str:
    return (__doc__ or "").split("\n\n", maxsplit=1)[0]


def _seconds(text: str) -> float:
    """Read a number of seconds, or a duration with a unit."""
    found = duration(text if text[-1:].isalpha() else f"{text}s")
    if found is None:
        msg = f"{text!r} is no duration"
        raise argparse.ArgumentTypeError(msg)
    return found


async def _run(scenario: Scenario, options: argparse.Namespace) -> int:
    seconds = scenario.duration_s if options.seconds is None else options.seconds
    started = time.monotonic()
    with ExitStack() as files:
        record = None
        if options.record is not None:
            record = files.enter_context(options.record.open("w", encoding="utf-8"))
        tally = Tally(record)
        runner = Runner(scenario, tally)
        await runner.run(seconds, _announcement(scenario, options.config, quiet=options.quiet))
    summary: dict[str, object] = {
        "seed": scenario.seed,
        "seconds": round(time.monotonic() - started, 3),
        "connections": runner.connections,
        "unacknowledged": runner.unacknowledged,
        **tally.summary(),
    }
    sys.stdout.write(json.dumps(summary) + "\n")
    if scenario.mqtt and seconds != 0 and not runner.connections:
        sys.stderr.write("simulators: the broker could not be reached\n")
        return FAILED
    return FAILED if runner.unacknowledged else FINE


def _announcement(scenario: Scenario, path: Path | None, *, quiet: bool) -> Callable[[], None]:
    def announce() -> None:
        text = configuration(scenario)
        if path is not None:
            path.write_text(text, encoding="utf-8")
        if not quiet:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
            serial = sum(group.count for group in scenario.serial)
            mqtt = sum(group.count for group in scenario.mqtt)
            sys.stderr.write(
                f"simulators: {serial} serial ports, {mqtt} broker devices; Ctrl-C stops\n"
            )

    return announce


if __name__ == "__main__":
    sys.exit(main())
