"""Events of rtl_433, a receiver of radio sensors: lines of `-F json`, or MQTT `rtl_433/+/events`.

    {"time":"2024-12-20 15:53:39","model":"Nexus-TH","id":177,"channel":3,"battery_ok":1,
     "temperature_C":21.3,"humidity":39,"mod":"ASK","freq":433.9,"rssi":-0.1,"snr":20.2,"noise":-20.3}

Each object is a transmission of one device (docs/DATA_FORMAT.md of rtl_433). Integrity was checked
by the receiver. Units are the ends of the names (`_C`, `_km_h`, `_kPa`), which the dictionary
reads, so names stay as they are.

Identity: the device is `<model>-<id>`, the channel standing in for a missing id. Many sensors take
a new id with a new battery, so model, type, subtype and channel are tags, by which a series can be
continued.

Copies: a sensor sends the same three to twelve times in a row, and several receivers hear it. What
equals the last event of that device with those names, within `duplicates` of it by our clock and by
that of the receiver where it states one, is a copy. Levels, frequencies and copy numbers differ
between copies and do not count. So nothing is lost that changes, that comes back (open, closed,
open), or that was sent at other times and arrives in one burst after an outage; a device that says
the same without pause is heard once per `duplicates`.

What becomes of it: `rssi` and `snr` are kept, in dB; the former is relative to the receiver's full
scale and no dBm. Modulation, frequency, noise, protocol and copy numbers say nothing of the device
and are left out. A message without anything else is an event by itself: `event` is 1. Numbers that
rtl_433 hands through as the device's own code, under a name that would mean a quantity, end in
`_raw`; texts stay texts, for many are hexadecimal digits. `battery_ok` is left out beside
`battery_pct`, which says more. The time is that of the receiver; without a zone, and none is the
default, it counts only where `timezone` says which one it is.

Measurement: `weather` where there is wind, rain or light, else `air_quality`, `electricity` or
`climate` by what there is, else `sensor`; tyres are `sensor`.

Limits: COPIES_MAX devices are remembered; texts of an identity have LABEL_MAX characters.
"""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from gateway.durations import seconds
from gateway.errors import ConfigError
from gateway.framing.delimited import Lines
from gateway.ledger import EXAMPLE_BYTES
from gateway.model import (
    Code,
    Decoded,
    Device,
    Frame,
    Ignored,
    Malformed,
    Reading,
    Reason,
    Repeated,
    Value,
    Verdict,
)
from gateway.objects import ObjectReader, read_time
from gateway.payloads import Json, parse_json
from gateway.quantities import find_quantity

COPIES_MAX: Final = 4_096
"""1.4 MB. Of more devices within the window the oldest are forgotten: copies get in."""

LABEL_MAX: Final = 64
"""rtl_433 wants fewer than 32 characters in a model and 16 in an id."""

_TAGS: Final = ("model", "type", "subtype", "channel")
_IDENTITY: Final = frozenset({*_TAGS, "id"})
_LEVELS: Final = {"rssi": "dB", "snr": "dB"}
_RADIO: Final = frozenset(
    {"mod", "freq", "freq1", "freq2", "noise", "mic", "protocol", "description"}
)
_COPY_NUMBERS: Final = frozenset(
    {"sequence_num", "repeat", "num_repeats", "retry", "is_retry", "retransmit", "retransmission"}
)
_NO_CONTENT: Final = _IDENTITY | _LEVELS.keys() | _RADIO | _COPY_NUMBERS | {"time"}
_CODES: Final = frozenset(
    {"battery", "battery_level", "booster_battery", "maybe_battery"}
    | {"flow_rate", "level", "soil_rssi", "uv", "volume"}
)
_CODES_OF: Final = {
    "CurrentCost-Counter": "power0",
    "CurrentCost-EnviRCounter": "power0",
    "ELV-EM1000": "current",
    "Proflame2-Remote": "power",
}
"""By model: impulses, impulses, pulses per interval, and on or off."""
_MEASUREMENTS: Final = {
    "weather": ("wind_", "rain", "uvi", "uv_index", "light_", "lux", "strike_", "storm_"),
    "air_quality": ("pm1", "pm2", "pm4", "estimated_pm", "co2", "hcho"),
    "electricity": ("power", "energy", "current", "voltage"),
    "climate": ("temperature", "humidity", "moisture"),
}
"""By the beginnings of names, the first that fits."""


class Rtl433Decoder:
    """One stream's or subscription's decoder; `duplicates` is "0s" where copies are wanted."""

    def __init__(self, *, timezone: str = "", duplicates: object = "3s") -> None:
        problems: list[str] = []
        try:
            self._copies = _Copies(round(seconds(duplicates, "0s", "1min") * 1e9))
        except ValueError as error:
            problems.append(f"duplicates: {error}")
        try:
            self._objects = ObjectReader(time="time", timezone=timezone)
        except ConfigError as error:
            problems += error.problems
        if problems:
            raise ConfigError(problems)

    def decode(self, frame: Frame) -> Verdict:
        event = parse_json(frame.data)
        if frame.first and not isinstance(event, dict):
            return Ignored(Reason.FIRST_LINE)
        if isinstance(event, Malformed):
            return event
        if not isinstance(event, dict) or not event.get("model"):
            return Ignored(Reason.UNSUPPORTED)  # statistics, messages of the program itself
        return self._read(event, frame)

    def _read(self, event: Mapping[str, Json], frame: Frame) -> Verdict:
        labels = {name: _label(event[name]) for name in _IDENTITY if name in event}
        if not labels["model"] or any(len(label) > LABEL_MAX for label in labels.values()):
            return Malformed(Reason.SYNTAX, frame.data[:EXAMPLE_BYTES])
        content = {name: value for name, value in event.items() if name not in _NO_CONTENT}
        kind = _digest((sorted(labels.items()), sorted(content)))
        values = _digest(sorted(content.items()))
        if self._copies.has(kind, _Heard(values, frame.received_at_ns, _clock_ns(event))):
            return Repeated(Reason.RETRANSMITTED)
        verdict = self._objects.read(_values(event, content), frame.received_at_ns)
        if isinstance(verdict, Malformed):
            return verdict
        readings = [_identified(reading, labels) for reading in verdict.readings]
        return Decoded(readings, verdict.malformed)


def _label(value: Json) -> str:
    """A part of an identity as text; "" where it is none."""
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value).strip() if isinstance(value, str | int) else ""


def _clock_ns(event: Mapping[str, Json]) -> int | None:
    """What the receiver's clock shows, in whatever zone: for differences only."""
    time = event.get("time")
    stamp = read_time(time, UTC) if isinstance(time, str | int | float) else None
    return stamp.ns if stamp is not None else None


def _values(event: Mapping[str, Json], content: Mapping[str, Json]) -> dict[str, Json]:
    """What is stored of the event, and the time."""
    code = _CODES_OF.get(str(event["model"]))
    values = {f"{n}_raw" if n in _CODES or n == code else n: v for n, v in content.items()}
    if "battery_pct" in values:
        values.pop("battery_ok", None)
    values = values or {"event": True}
    return values | {name: event[name] for name in ("time", *_LEVELS) if name in event}


def _identified(reading: Reading, labels: Mapping[str, str]) -> Reading:
    """The reading with its device, tags, measurement and the units of levels."""
    number = labels.get("id") or labels.get("channel")
    tags = {name: labels[name] for name in _TAGS if labels.get(name)}
    units = {name: unit for name, unit in _LEVELS.items() if name in reading.values}
    return reading._replace(
        values={name: _as_sent(name, value) for name, value in reading.values.items()},
        units={**reading.units, **units},
        device=f"{labels['model']}-{number}" if number else labels["model"],
        measurement=_measurement(reading.values, labels.get("type", "")),
        tags=tags,
    )


def _as_sent(name: str, value: Value) -> Value:
    """rtl_433 sends numbers as such, so that a text of digits is a code: `1e5` is not 100000."""
    return Code(value) if isinstance(value, str) and not _is_quantity(name) else value


@lru_cache(maxsize=1024)
def _is_quantity(name: str) -> bool:
    return find_quantity(name) is not None


def _measurement(values: Mapping[str, object], kind: str) -> str:
    if kind != "TPMS":
        for measurement, beginnings in _MEASUREMENTS.items():
            if any(name.startswith(beginnings) for name in values):
                return measurement
    return "sensor"


class _Heard(NamedTuple):
    """An event as far as copies of it go."""

    values: bytes
    """A digest."""
    at_ns: int
    clock_ns: int | None


class _Copies:
    """The last event of each device and set of names."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._last: OrderedDict[bytes, _Heard] = OrderedDict()

    def has(self, kind: bytes, event: _Heard) -> bool:
        """Whether the event is a copy; if not, it is remembered."""
        last = self._last.get(kind)
        if last is not None and self._is_copy(event, last):
            return True
        self._last[kind] = event
        self._last.move_to_end(kind)
        if len(self._last) > COPIES_MAX:
            self._last.popitem(last=False)
        return False

    def _is_copy(self, event: _Heard, last: _Heard) -> bool:
        """Clocks may be set back: what lies far in the future is no copy either."""
        if event.values != last.values or abs(event.at_ns - last.at_ns) >= self._window_ns:
            return False
        if event.clock_ns is None or last.clock_ns is None:
            return True
        return abs(event.clock_ns - last.clock_ns) < self._window_ns


def _digest(value: object) -> bytes:
    return blake2b(repr(value).encode(errors="backslashreplace"), digest_size=16).digest()


DEVICE = Device(
    name="rtl_433",
    summary="radio sensors received by rtl_433: JSON lines, or MQTT rtl_433/+/events",
    decoder=Rtl433Decoder,
    framer=Lines,
    options=frozenset({"timezone", "duplicates"}),
)
