"""JSON values -> readings: what decoders of JSON, in lines or in messages, have in common.

    {"room": {"temperature": 21.5, "fan": [1, 0]}}       names joined: room.temperature, room.fan.0
    {"temperature": {"value": 21.5, "unit": "°C"}}       one quantity and its unit
    [{"t": 1}, {"t": 2}]                                  a batch: one reading each
    21.5                                                  `value`

The device's own time is taken out of the quantities: the path that the configuration names, or one
of TIME_NAMES where it reads as a time. A time is ISO 8601, or seconds, milli-, micro- or
nanoseconds since 1970, told apart by size; one outside 2001 to 2099 is no time. A text without a
zone has the configured one, or is not used. Where the clocks change a text can mean two instants
(in autumn an hour comes twice; in spring one is left out, and whoever states it has not changed
yet, or too early): it means the one nearer to the arrival, and none while that has no date.

Limits: FIELDS_MAX quantities in a reading, NAME_MAX characters in a name, BATCH_MAX elements in a
batch; what is beyond them is counted as malformed elements (a nested one as one). `null` becomes
the empty text: a quantity without a value.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Final, NamedTuple, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.errors import ConfigError
from gateway.ledger import EXAMPLE_BYTES
from gateway.model import (
    NOTHING,
    Decoded,
    Frame,
    Ignored,
    Malformed,
    Reading,
    Reason,
    Value,
    Verdict,
)
from gateway.payloads import Json, parse_json
from gateway.times import is_since_boot

FIELDS_MAX: Final = 256
"""Status dumps of large devices have about 150 quantities."""

NAME_MAX: Final = 256

BATCH_MAX: Final = 10_000
"""What a payload of the largest size holds at 100 bytes each; less than half a second of work."""

OPTIONS: Final = frozenset({"time", "timezone", "device"})
"""The keywords of `ObjectReader`, which decoders hand through."""

TIME_NAMES: Final = ("time", "Time", "timestamp", "Timestamp", "ts", "datetime", "DateTime")
_TIME_NAMES: Final = frozenset(TIME_NAMES)
_UNIT_NAMES: Final = ("unit", "units")
_SCALARS: Final = frozenset({float, int, str, bool})
_SURPLUS: Final = Malformed(Reason.TOO_MANY_FIELDS)


class ObjectReader:
    """Makes readings of JSON values and of other collections of named values.

    Args:
        time: the path of the device's time, such as "data.received_at".
        timezone: the zone of times that state none, such as "Europe/Berlin".
        device: the path of the device's identity.
    """

    def __init__(self, *, time: str = "", timezone: str = "", device: str = "") -> None:
        options = {"time": time, "timezone": timezone, "device": device}
        wrong = [
            f"{key}: a text is expected, not {value!r}"
            for key, value in options.items()
            if not isinstance(value, str)
        ]
        if wrong:
            raise ConfigError(wrong)
        self._time = time
        self._zone = _zone(timezone)
        self._device = device

    def decode(self, frame: Frame) -> Verdict:
        """A frame of JSON. A first line is whole if it parses: brackets close what they open."""
        value = parse_json(frame.data)
        if frame.first and not isinstance(value, dict | list):
            return Ignored(Reason.FIRST_LINE)
        return value if isinstance(value, Malformed) else self.read(value, frame.received_at_ns)

    def read(self, value: Json, received_at_ns: int) -> Decoded | Malformed:
        """The readings of any JSON value."""
        if not (isinstance(value, list) and any(isinstance(e, dict) for e in value)):
            return self._one(value, received_at_ns)
        readings: list[Reading] = []
        malformed: list[Malformed] = []
        for element in value[:BATCH_MAX]:
            verdict = (
                self._one(element, received_at_ns)
                if isinstance(element, dict)
                else Malformed(Reason.SYNTAX, repr(element)[:EXAMPLE_BYTES].encode())
            )
            if isinstance(verdict, Malformed):
                malformed.append(verdict)
            else:
                readings += verdict.readings
                malformed += verdict.malformed
        malformed += [Malformed(Reason.TOO_LARGE)] * (len(value) - BATCH_MAX)
        return Decoded(readings, malformed)

    def reading(
        self,
        values: dict[str, Value],
        units: Mapping[str, str],
        received_at_ns: int,
        malformed: tuple[Malformed, ...] = (),
    ) -> Decoded | Malformed:
        """One reading of named values, which it takes over, less its time and identity."""
        device = ""
        observed_at_ns = None
        if self._time or not _TIME_NAMES.isdisjoint(values):
            observed_at_ns = self._take_time(values, received_at_ns)
        if self._device and self._device in values:
            device = _identity(values.pop(self._device))
        if len(values) > FIELDS_MAX:
            surplus = len(values) - FIELDS_MAX
            values = dict(islice(values.items(), FIELDS_MAX))
            malformed += (_SURPLUS,) * surplus
        if not values and not malformed:
            return Malformed(Reason.EMPTY)
        readings = [Reading(values, units, device, "", NOTHING, observed_at_ns)] if values else []
        return Decoded(readings, malformed)

    def _one(self, value: Json, received_at_ns: int) -> Decoded | Malformed:
        if isinstance(value, dict) and _is_flat(value):
            return self.reading(cast("dict[str, Value]", value), NOTHING, received_at_ns)
        flat = _Flattener()
        flat.add("", value)
        return self.reading(flat.values, flat.units, received_at_ns, tuple(flat.malformed))

    def _take_time(self, values: dict[str, Value], received_at_ns: int) -> int | None:
        if self._time:
            stamp = read_time(values.pop(self._time, ""), self._zone, received_at_ns)
            return stamp.ns if stamp is not None else None
        observed_at_ns = None
        for name in TIME_NAMES:
            if name not in values:
                continue
            stamp = read_time(values[name], self._zone, received_at_ns)
            if stamp is not None:
                del values[name]
                observed_at_ns = observed_at_ns or stamp.ns
        return observed_at_ns


def _zone(name: str) -> tzinfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            [f"timezone: {name!r} is no known time zone; one is 'Europe/Berlin'"]
        ) from None


def _identity(value: Value) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _is_flat(value: dict[str, Json]) -> bool:
    """Whether the object is a mapping of names to values as it stands, as most are."""
    if "value" in value or not 0 < len(value) <= FIELDS_MAX:
        return False
    for name, part in value.items():
        if type(part) not in _SCALARS or len(name) > NAME_MAX:
            return False
    return True


class _Flattener:
    """Collects the quantities of a nested value; its depth is limited by `parse_json`."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.units: dict[str, str] = {}
        self.malformed: list[Malformed] = []

    def add(self, path: str, value: Json) -> None:
        if len(self.values) >= FIELDS_MAX:
            self.malformed.append(_SURPLUS)
        elif len(path) > NAME_MAX:
            self._lose(Reason.TOO_LONG, path)
        elif isinstance(value, dict):
            self._add_object(path, value)
        elif isinstance(value, list):
            for index, element in enumerate(value):
                self.add(f"{path or 'value'}.{index}", element)
        elif (name := path or "value") in self.values:
            self._lose(Reason.COLLISION, name)
        else:
            self.values[name] = "" if value is None else value

    def _add_object(self, path: str, value: dict[str, Json]) -> None:
        used: frozenset[str] = frozenset()
        quantity = value.get("value")
        if "value" in value and not isinstance(quantity, dict | list):
            unit_name = next((n for n in _UNIT_NAMES if isinstance(value.get(n), str)), "")
            if unit_name or len(value) == 1:
                self.add(path, quantity)
                if unit_name:
                    self.units[path or "value"] = str(value[unit_name])
                used = frozenset({"value", unit_name})
        for key, part in value.items():
            if key not in used:
                self.add(f"{path}.{key}" if path else key, part)

    def _lose(self, reason: Reason, path: str) -> None:
        self.malformed.append(Malformed(reason, path[:EXAMPLE_BYTES].encode()))


# ------------------------------------------------------------------------------------- time

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_S: Final = int(datetime(2001, 1, 1, tzinfo=UTC).timestamp())
_LAST_S: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
_SINCE_1970: Final = re.compile(r"[0-9]{1,19}(?:\.[0-9]{1,9})?")
_ISO_LENGTHS: Final = range(16, 41)
"""From `2024-05-01T10:00` on: a date alone, or a time of day, is no instant."""


class Stamp(NamedTuple):
    """A time as a device states it; `ns` is None where it lacks a zone or is no real one."""

    ns: int | None


def read_time(value: Value, zone: tzinfo | None = None, received_at_ns: int = 0) -> Stamp | None:
    """The instant that the value means, UTC nanoseconds; None where it is no time."""
    if isinstance(value, str):
        if len(value) in _ISO_LENGTHS and ":" in value:
            return _read_iso(value, zone, received_at_ns)
        if not _SINCE_1970.fullmatch(value):
            return None
        value = float(value) if "." in value else int(value)
    for per_second in (1, 10**3, 10**6, 10**9):
        if _FIRST_S * per_second <= value < _LAST_S * per_second:
            if isinstance(value, int):
                return Stamp(value * (10**9 // per_second))
            return Stamp(round(value * (10**6 / per_second)) * 1000)
    return None


def _read_iso(text: str, zone: tzinfo | None, received_at_ns: int) -> Stamp | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        meant = _nearest(when, zone, received_at_ns) if zone is not None else None
        if meant is None:
            return Stamp(None)
        when = meant
    since = when - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    if not _FIRST_S <= seconds < _LAST_S:
        return Stamp(None)
    return Stamp(seconds * 10**9 + since.microseconds * 1000)


def _nearest(wall: datetime, zone: tzinfo, received_at_ns: int) -> datetime | None:
    """The instant that clocks on the wall mean; of two the nearer one to the arrival."""
    first = wall.replace(tzinfo=zone)
    second = first.replace(fold=1)
    if first.utcoffset() == second.utcoffset():
        return first
    if is_since_boot(received_at_ns):
        return None
    received = datetime.fromtimestamp(received_at_ns // 10**9, UTC)
    return min(first, second, key=lambda when: abs(when - received))
