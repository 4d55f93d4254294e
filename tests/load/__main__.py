"""The commands; exit code 1 where something was lost or a bound was missed."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.load import (
    backlog,
    benchmark,
    bus,
    crash,
    endurance,
    flood,
    outage,
    outage24,
    overload,
    ports,
)


class Command(NamedTuple):
    """What it runs, and its options: name -> (default, words)."""

    run: Callable[..., tuple[bool, list[str]]]
    options: Mapping[str, tuple[int | float | str, str]]


COMMANDS = {
    "endurance": Command(endurance.run, {"seconds": (60.0, "length of the run")}),
    "outage": Command(outage.run, {"seconds": (30.0, "length of each outage")}),
    "benchmark": Command(
        benchmark.run,
        {"messages": (100_000, "in each run"), "rounds": (3, "of alternating runs")},
    ),
    "bus": Command(
        bus.run,
        {
            "seconds": (60.0, "once the ill devices rest"),
            "overload_seconds": (60.0, "of a bus with too much to do; 0: none"),
        },
    ),
    "crash": Command(
        crash.run,
        {
            "kills": (200, "of the gateway"),
            "broker_kills": (20, "of the broker, afterwards"),
            "rate": (1_000, "messages per second, at least"),
            "seed": (1, "of the moments"),
            "protocol": ("3.1.1", "the version of MQTT: 3.1.1 or 5"),
        },
    ),
    "backlog": Command(
        backlog.run,
        {
            "messages": (100_000, "that wait in the broker"),
            "protocol": ("5", "the version of MQTT: 3.1.1 or 5"),
            "max_bytes": ("4MiB", "of the spool"),
        },
    ),
    "flood": Command(
        flood.run,
        {"seconds": (30.0, "length of the flood"), "rate": (50_000, "messages per second")},
    ),
    "outage24": Command(
        outage24.run,
        {"rate": (1_000, "messages per second"), "max_bytes": ("64MiB", "of the spool, in MiB")},
    ),
    "ports": Command(
        ports.run,
        {
            "seconds": (20.0, "that each line is full"),
            "ports": (100, "of all protocols in turn"),
            "baudrate": (0, "of all lines; 0: each protocol's own"),
        },
    ),
    "overload": Command(
        overload.run,
        {
            "seconds": (120.0, "of overload"),
            "rate": (2_000, "messages per second"),
            "max_bytes": ("4MiB", "of the spool, in MiB"),
        },
    ),
}


def main() -> int:
    """Run one command and print its report."""
    parser = argparse.ArgumentParser("python -m tests.load", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, options) in COMMANDS.items():
        command = commands.add_parser(name)
        for option, (default, words) in options.items():
            flag = f"--{option.replace('_', '-')}"
            command.add_argument(flag, type=type(default), default=default, help=words)
    chosen = vars(parser.parse_args())
    run = COMMANDS[chosen.pop("command")].run
    with tempfile.TemporaryDirectory(prefix="sensor-gateway-load-") as name:
        fine, report = run(Path(name), **chosen)
    sys.stdout.write("\n".join((*report, "fine" if fine else "FAILED", "")))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
