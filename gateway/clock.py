"""The one place that asks for the time of day.

Everything else takes a `Clock` as a parameter, so that a test or a simulation decides what time
it is. Elapsed time is the event loop's business (`loop.time`), never this clock's: it may step.
"""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Nanoseconds since 1970-01-01 UTC."""


def now_ns() -> int:
    """The system's time of day."""
    return time.time_ns()
