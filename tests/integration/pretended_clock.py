"""`sensor-gateway` on a machine whose clock is what three files beside the configuration say.

boot           which run of the machine it is
started        the kernel's monotonic nanoseconds at its start
synchronized   while it is missing the time of day is wrong by some days, and nobody keeps it

python -m tests.integration.pretended_clock run --config FOLDER/gateway.toml
"""

import sys
import time
from pathlib import Path

from gateway import edges
from gateway.cli import main

WRONG_BY_NS = 40 * 24 * 3600 * 10**9


class PretendedClock:
    """A `ClockSource` of files."""

    def __init__(self) -> None:
        self._folder = Path(sys.argv[-1]).parent
        self.boot = (self._folder / "boot").read_text()
        self._started_ns = int((self._folder / "started").read_text())

    def time_of_day_ns(self) -> int:
        return time.time_ns() - (0 if self.is_synchronized() else WRONG_BY_NS)

    def since_boot_ns(self) -> int:
        return time.monotonic_ns() - self._started_ns

    def is_synchronized(self) -> bool:
        return (self._folder / "synchronized").exists()


if __name__ == "__main__":
    edges.KernelClock = PretendedClock  # type: ignore[assignment, attr-defined]
    main()
