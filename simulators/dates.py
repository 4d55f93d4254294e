"""What the clocks of simulated devices show.

Everything begins at the same instant, whenever it is played, so that the same scenario gives the
same bytes. A reader whose own clock is years away will not believe these dates.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

START = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
"""Three hours before summer time begins in Europe, so that a run over some hours has both."""


def clock(zone: str, t: float) -> datetime:
    """Return what a clock shows in a time zone `t` seconds after the start, in whole seconds."""
    return (START + timedelta(seconds=int(t))).astimezone(ZoneInfo(zone))
