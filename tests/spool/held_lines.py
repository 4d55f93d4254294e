"""Observations that arrived without a time, and their lines."""

from collections.abc import Mapping

from gateway.model import FieldValue, Observation, TimeSource
from gateway.sinks.line_protocol import encode, make_series
from gateway.spool import held

SECOND = 10**9
NOON = 1_800_000_000 * SECOND
"""The date of the machine's start."""

BOOT = "first boot"


def observation(
    fields: Mapping[str, FieldValue],
    arrived_ns: int,
    stated_ns: int | None = None,
    *,
    device: str = "a b,c=d",
) -> Observation:
    series = make_series("sen sor", {"device": device})
    if stated_ns is None:
        return Observation(series, fields, arrived_ns, arrived_ns, TimeSource.ARRIVAL)
    return Observation(series, fields, stated_ns, arrived_ns, TimeSource.DEVICE)


def line(arrived_ns: int, stated_ns: int | None = None) -> bytes:
    """A held line as the spool packs it."""
    return held.pack(observation({"t": 1.5}, arrived_ns, stated_ns))


def with_date(arrived_ns: int) -> bytes:
    """The same, released."""
    return encode(observation({"t": 1.5}, NOON + arrived_ns))
