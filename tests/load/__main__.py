"""The commands; exit code 1 where something was lost or a bound was missed."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.load import benchmark, endurance, outage

COMMANDS = {
    "endurance": (endurance.run, 60.0, "length of the run"),
    "outage": (outage.run, 30.0, "length of each outage"),
}


def main() -> int:
    """Run one command and print its report."""
    parser = argparse.ArgumentParser("python -m tests.load", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, seconds, words) in COMMANDS.items():
        command = commands.add_parser(name)
        command.add_argument("--seconds", type=float, default=seconds, help=words)
    command = commands.add_parser("benchmark")
    command.add_argument("--messages", type=int, default=100_000, help="in each run")
    command.add_argument("--rounds", type=int, default=3, help="of alternating runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sensor-gateway-load-") as name:
        if options.command == "benchmark":
            fine, report = benchmark.run(Path(name), options.messages, options.rounds)
        else:
            fine, report = COMMANDS[options.command][0](Path(name), options.seconds)
    sys.stdout.write("\n".join((*report, "fine" if fine else "FAILED", "")))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
