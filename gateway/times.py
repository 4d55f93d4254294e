"""What a time is: nanoseconds since 1970, or since the start of a machine that has no date yet.

While nobody knows the time of day (`gateway.clock`), an arrival is counted in nanoseconds since the
machine's start. No machine runs for thirty years, and no observation is older than 2000: so the
number itself says which of the two it is, everywhere, without further plumbing. Once the time of
day is known, `start + number` is its date.

Limits: a time of day before FLOOR_NS is not believed, whoever states it.
"""

from datetime import UTC, datetime
from typing import Final

SINCE_BOOT_MAX_NS: Final = 946_684_800 * 10**9
"""2000-01-01: what lies before it is no date."""

FLOOR_NS: Final = 1_735_689_600 * 10**9
"""2025-01-01: this program was written later, so a clock that stands before it is wrong."""

PAST_MAX_NS: Final = 7 * 24 * 3600 * 10**9
FUTURE_MAX_NS: Final = 60 * 10**9
"""A device's time outside of these around the arrival is not believed (decision 10)."""


def is_since_boot(time_ns: int) -> bool:
    """Whether the time is counted from the machine's start; 0, which stands for never, is too."""
    return time_ns < SINCE_BOOT_MAX_NS


def is_plausible(observed_at_ns: int, received_at_ns: int) -> bool:
    """Whether a device's time can be right; while the arrival has no date, all can that may be."""
    if is_since_boot(received_at_ns):
        return observed_at_ns >= FLOOR_NS - PAST_MAX_NS
    return -FUTURE_MAX_NS <= received_at_ns - observed_at_ns <= PAST_MAX_NS


def time_of(observed_at_ns: int | None, received_at_ns: int) -> int:
    """The time of an observation: the device's where it has one that can be right, else ours."""
    if observed_at_ns is not None and is_plausible(observed_at_ns, received_at_ns):
        return observed_at_ns
    return received_at_ns


def time_of_digits(digits: str, hours_ahead: int) -> int | None:
    """The instant YYMMDDhhmmss of a clock so far ahead of UTC, or None: there is no such time."""
    year, month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 12, 2))
    try:
        moment = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return (int(moment.timestamp()) - hours_ahead * 3600) * 10**9
