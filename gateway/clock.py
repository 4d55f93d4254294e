"""The one place that asks for the time of day, and that says whether to believe it.

Everything else takes a `Clock` as a parameter, so that a test or a simulation decides what time
it is. Elapsed time is the event loop's business (`loop.time`), never this clock's: it may step.

A board without a clock of its own starts with any time of day, and learns the right one from the
network, sooner, later or never. Until then `SystemClock` gives the nanoseconds since the machine's
start, which `gateway.times` tells from dates. It trusts the time of day, from then on for good,

- once the kernel says that the clock is synchronized, or does not say anything;
- else when the machine has been up for so long that nothing better is to be expected;
- at once where the configuration says so;

but never one before 2025. A time of day that falls back there later is not followed.
"""

import asyncio
import ctypes
import logging
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from gateway.times import FLOOR_NS, is_since_boot

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""Between two looks at a clock that is not trusted; a trusted one costs nothing."""

Clock = Callable[[], int]
"""Nanoseconds since 1970-01-01 UTC, or since the machine's start: see `gateway.times`."""


def now_ns() -> int:
    """The system's time of day, whatever it is worth."""
    return time.time_ns()


class ClockSource(Protocol):
    """What a machine knows of the time."""

    @property
    def boot(self) -> str:
        """The identity of the machine's present run, from its start to its end."""

    def time_of_day_ns(self) -> int:
        """Nanoseconds since 1970; may step."""

    def since_boot_ns(self) -> int:
        """Nanoseconds since the machine's start; rises steadily."""

    def is_synchronized(self) -> bool:
        """Whether somebody keeps the time of day right; True where that cannot be known."""


class SystemClock:
    """A `Clock` that gives no date as long as there is none to be trusted.

    Any thread may call it. Until `set_up` nothing is trusted.
    """

    def __init__(self, source: ClockSource) -> None:
        self._source = source
        self._is_trusted_blindly = False
        self._wait_ns = 0
        self.offset_ns: int | None = None
        """The date of the machine's start; None while the time of day is not trusted.

        In whole microseconds: see `gateway.series`."""
        self.problem = ""
        """Why the time of day is not trusted, in words; empty while it is."""

    def __call__(self) -> int:
        offset_ns = self.offset_ns
        if offset_ns is None:
            return self._source.since_boot_ns()
        time_ns = self._source.time_of_day_ns()
        return time_ns if time_ns >= FLOOR_NS else self._source.since_boot_ns() + offset_ns

    @property
    def boot(self) -> str:
        """The identity of the machine's present run."""
        return self._source.boot

    def set_up(self, *, trust: bool, wait_s: float) -> None:
        """Take the operator's word, and a first look.

        Args:
            trust: there is nobody to synchronize with; believe the time of day as it is.
            wait_s: how long after the machine's start synchronization is waited for.
        """
        self._is_trusted_blindly = trust
        self._wait_ns = round(wait_s * 1e9)
        self._look()

    async def watch(self) -> int:
        """Return when the time of day is trusted; the date of the machine's start."""
        if self.offset_ns is None:
            log.warning("%s: readings wait on disk for their time", self.problem)
        while (offset_ns := self._look()) is None:  # noqa: ASYNC110 -- the kernel tells nobody
            await asyncio.sleep(LOOK_S)
        return offset_ns

    def resolve(self, time_ns: int) -> int:
        """A time since this machine's start as a date, if it has one by now; others as they are."""
        if self.offset_ns is not None and time_ns and is_since_boot(time_ns):
            return time_ns + self.offset_ns
        return time_ns

    def _look(self) -> int | None:
        if self.offset_ns is not None:
            return self.offset_ns
        time_ns, since_boot_ns = self._source.time_of_day_ns(), self._source.since_boot_ns()
        if time_ns < FLOOR_NS:
            date = datetime.fromtimestamp(time_ns // 10**9, UTC).date()
            self.problem = f"the clock stands at {date}, which cannot be"
        elif (
            self._is_trusted_blindly
            or since_boot_ns >= self._wait_ns
            or self._source.is_synchronized()
        ):
            self.offset_ns = (time_ns - since_boot_ns) // 1000 * 1000
            self.problem = ""
        else:
            self.problem = "the clock is not synchronized"
        return self.offset_ns


class KernelClock:
    """The `ClockSource` of this machine."""

    def __init__(self) -> None:
        self.boot = _boot_id()
        self._since_boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def time_of_day_ns(self) -> int:
        return time.time_ns()

    def since_boot_ns(self) -> int:
        return time.clock_gettime_ns(self._since_boot)

    def is_synchronized(self) -> bool:
        return kernel_says_synchronized()


def _boot_id() -> str:
    """Linux makes one at each start; elsewhere each process has one of its own."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())


class _Timex(ctypes.Structure):
    """The beginning of Linux's `struct timex`, adjtimex(2), and more room than the rest takes.

    What follows `status` depends on the size of its times; nobody reads it here.
    """

    _fields_ = (
        ("modes", ctypes.c_uint),  # 0: change nothing; needs no right then
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 64),
    )


_STA_UNSYNC: Final = 0x0040
_TIME_ERROR: Final = 5
"""What adjtimex returns for a clock that is not synchronized; -1: it may not be asked."""


def kernel_says_synchronized() -> bool:
    """Whether an NTP daemon, a GPS or the like keeps the time of day; True where nobody knows."""
    if sys.platform != "linux":
        return True
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return True
    timex = _Timex()
    state = adjtimex(ctypes.byref(timex))
    return state < 0 or not (state == _TIME_ERROR or timex.status & _STA_UNSYNC)
