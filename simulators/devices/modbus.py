"""Devices on a Modbus RTU bus: meters, a charge controller, a CO2 sensor, some that misbehave.

A request is address, function, start (2 bytes), count (2), CRC (low byte first); the answer is
address, function, number of bytes, values, CRC; an exception is address, function + 80 hex, reason,
CRC. Who is not meant, or gets a damaged request, says nothing.

A variant is `MODEL`, `MODEL@ADDRESS` or `MODEL@ADDRESS+HABIT`, as in `sdm630@3+slow`.

* Eastron `sdm120`, `sdm230`, `sdm630`, `sdm72`: float32, high word first; whole pairs, at most 40.
  `sdm72` is the first version, which has power and energy only and refuses everything else.
* `pzem004t` (v3): whole numbers, low word first; it listens to F8 too.
* `epever`: hundredths, low word first.
* `s8` (SenseAir): CO2 in the fourth register; it listens to FE, which is its address by default.

Habits: `dead` says nothing, `garbage` says something else, `damaged` gets its checksum wrong,
`busy` says so every second time, `slow` takes 0.7 s, `broken` answers with exception 4.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from simulators.devices import Measure, Reply
from simulators.seeds import generator

HOLDING, INPUT = 3, 4
FAILURE, BUSY = 4, 6
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3

SLOW_S = 0.7
DELAYS_S = (0.008, 0.03)
"""What real ones take to answer, from and to."""

REQUEST_SIZE = 8
HABITS = ("", "dead", "garbage", "damaged", "busy", "slow", "broken")


class Entry(NamedTuple):
    """One value: where, how it is coded, what it is, and its share of the place's quantity."""

    address: int
    code: str
    name: str
    quantity: str
    share: float = 1.0
    decimals: int = 2

    @property
    def size(self) -> int:
        """Registers."""
        return 1 if self.code in {"u16", "i16"} else 2


@dataclass(frozen=True, slots=True)
class Model:
    """A product: its values, and what it takes for a request."""

    entries: tuple[Entry, ...]
    registers_max: int
    gaps: tuple[range, ...] = ()
    """What reads as 0 though there is no value."""
    pairs: bool = False
    general: int = 0
    """The address that each of its kind listens to."""


PHASES = (1.0, 0.97, 1.02)


def _float(address: int, name: str, quantity: str, share: float = 1.0) -> Entry:
    return Entry(address, "float", name, quantity, share, 3)


def _phases(address: int, name: str, quantity: str, part: float = 1.0) -> tuple[Entry, ...]:
    return tuple(
        _float(address + 2 * n, f"{name}_l{n + 1}", quantity, share * part)
        for n, share in enumerate(PHASES)
    )


_ENERGY = (
    _float(0x48, "energy_import", "energy"),
    _float(0x4A, "energy_export", "energy", 0.25),
)
_REACTIVE_ENERGY = (
    _float(0x4C, "reactive_energy_import", "energy", 0.1),
    _float(0x4E, "reactive_energy_export", "energy", 0.05),
)
_ONE_PHASE = Model(
    (
        _float(0x00, "voltage", "voltage"),
        _float(0x06, "current", "current"),
        _float(0x0C, "power", "power"),
        _float(0x12, "apparent_power", "power", 1.1),
        _float(0x18, "reactive_power", "reactive_power"),
        _float(0x1E, "power_factor", "power_factor"),
        _float(0x46, "frequency", "frequency"),
        *_ENERGY,
        *_REACTIVE_ENERGY,
        _float(0x156, "energy", "energy", 1.25),
    ),
    80,
    (range(0x15A),),
    pairs=True,
)
_THREE_PHASES = Model(
    (
        *_phases(0x00, "voltage", "voltage"),
        *_phases(0x06, "current", "current"),
        *_phases(0x0C, "power", "power", 1 / 3),
        *_phases(0x12, "apparent_power", "power", 1.1 / 3),
        *_phases(0x18, "reactive_power", "reactive_power", 1 / 3),
        *_phases(0x1E, "power_factor", "power_factor", 0.95),
        _float(0x34, "power", "power"),
        _float(0x38, "apparent_power", "power", 1.1),
        _float(0x3C, "reactive_power", "reactive_power"),
        _float(0x3E, "power_factor", "power_factor"),
        _float(0x46, "frequency", "frequency"),
        *_ENERGY,
        *_REACTIVE_ENERGY,
        _float(0xE0, "current_n", "current", 0.1),
        *_phases(0x15A, "energy_import", "energy", 1 / 3),
        *_phases(0x160, "energy_export", "energy", 0.25 / 3),
    ),
    80,
    (range(0x17E),),
    pairs=True,
)

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "sdm120": _ONE_PHASE,
        "sdm230": _ONE_PHASE,
        "sdm630": _THREE_PHASES,
        "sdm72": Model(
            (_float(0x34, "power", "power"), *_ENERGY, _float(0x156, "energy", "energy", 1.25)),
            80,
            pairs=True,
        ),
        "pzem004t": Model(
            (
                Entry(0, "u16", "voltage", "voltage", decimals=1),
                Entry(1, "u32", "current", "current", decimals=3),
                Entry(3, "u32", "power", "power", decimals=1),
                Entry(5, "u32", "energy", "energy", 1000.0, 0),
                Entry(7, "u16", "frequency", "frequency", decimals=1),
                Entry(8, "u16", "power_factor", "power_factor"),
            ),
            10,
            (range(10),),
            general=0xF8,
        ),
        "epever": Model(
            (
                Entry(0x3100, "u16", "panel_voltage", "panel_voltage"),
                Entry(0x3101, "u16", "panel_current", "panel_power", 0.03),
                Entry(0x3102, "u32", "panel_power", "panel_power"),
                Entry(0x3104, "u16", "battery_voltage", "battery_voltage"),
                Entry(0x3105, "u16", "charging_current", "panel_power", 0.07),
                Entry(0x3106, "u32", "charging_power", "panel_power", 0.98),
                Entry(0x310C, "u16", "load_voltage", "battery_voltage"),
                Entry(0x310D, "u16", "load_current", "current"),
                Entry(0x310E, "u32", "load_power", "current", 13.0),
                Entry(0x3110, "i16", "battery_temperature", "temperature"),
                Entry(0x3111, "i16", "device_temperature", "temperature", 1.2),
                Entry(0x311A, "u16", "battery", "battery", decimals=0),
                Entry(0x330A, "u32", "load_energy", "energy", 0.4),
                Entry(0x3312, "u32", "panel_energy", "energy", 0.5),
                Entry(0x331A, "u16", "battery_voltage", "battery_voltage"),
                Entry(0x331B, "i32", "battery_current", "battery_current"),
            ),
            64,
            (range(0x3100, 0x3113), range(0x311A, 0x311E), range(0x3300, 0x331F)),
        ),
        "s8": Model(
            (Entry(3, "u16", "carbon_dioxide", "carbon_dioxide", decimals=0),),
            8,
            (range(4), range(21, 31)),
            general=0xFE,
        ),
    }
)


class Slave:
    """One device on the bus."""

    def __init__(self, name: str, measure: Measure, model: Model, address: int, habit: str) -> None:
        """Be at an address."""
        self.name = name
        self._measure = measure
        self._model = model
        self._addresses = {address, model.general} - {0}
        self._habit = habit
        self._random = generator(0, name, "modbus")
        self._heard = b""
        self._asked = 0

    def reset(self) -> None:
        """Lose power."""
        self._heard = b""

    def receive(self, data: bytes, t: float) -> list[Reply]:
        """Answer each whole request that is meant for it."""
        replies = []
        for byte in data:
            self._heard = self._heard[1 - REQUEST_SIZE :] + bytes([byte])
            frame = self._heard
            whole = len(frame) == REQUEST_SIZE and crc(frame[:-2]) == frame[-2:]
            if whole and frame[0] in self._addresses:
                self._heard = b""
                self._asked += 1
                replies += self._with_habit(frame, t)
        return replies

    def _with_habit(self, frame: bytes, t: float) -> list[Reply]:
        delay_s = self._random.uniform(*DELAYS_S)
        match self._habit:
            case "dead":
                return []
            case "garbage":
                return [Reply(self._random.randbytes(self._random.randint(5, 30)), delay_s)]
            case "broken":
                return [Reply(_exception(frame, FAILURE), delay_s)]
            case "busy" if self._asked % 2:
                return [Reply(_exception(frame, BUSY), delay_s)]
            case "slow":
                delay_s = SLOW_S
        data, values = self._answer(frame, t)
        if self._habit == "damaged":
            return [Reply(data[:-1] + bytes([data[-1] ^ 1]), delay_s)]
        return [Reply(data, delay_s, values)]

    def _answer(self, frame: bytes, t: float) -> tuple[bytes, dict[str, float]]:
        address, function, start, count = struct.unpack(">BBHH", frame[:-2])
        model = self._model
        if function not in {HOLDING, INPUT}:
            return _exception(frame, ILLEGAL_FUNCTION), {}
        if not 1 <= count <= model.registers_max:
            return _exception(frame, ILLEGAL_VALUE), {}
        wanted = range(start, start + count)
        words, values = self._words(wanted, t)
        if function != INPUT or not words.keys() >= set(wanted) or (model.pairs and start % 2):
            return _exception(frame, ILLEGAL_ADDRESS), {}
        content = b"".join(words[register] for register in wanted)
        body = bytes([address, function, len(content)]) + content
        return body + crc(body), values

    def _words(self, wanted: range, t: float) -> tuple[dict[int, bytes], dict[str, float]]:
        """Return the registers in reach, and the values that are wholly among the wanted ones."""
        words = {register: bytes(2) for gap in self._model.gaps for register in gap}
        values = {}
        for entry in self._model.entries:
            span = range(entry.address, entry.address + entry.size)
            if span.stop <= wanted.start or wanted.stop <= span.start:
                words |= dict.fromkeys(span, bytes(2))
                continue
            exact = round(self._measure(entry.quantity, t) * entry.share, entry.decimals)
            words |= zip(span, _CODES[entry.code](exact * 10**entry.decimals, exact), strict=True)
            if span[0] in wanted and span[-1] in wanted:
                values[entry.name] = exact
        return words, values


def _words(data: bytes) -> list[bytes]:
    return [data[at : at + 2] for at in range(0, len(data), 2)]


def _whole(size: int, *, signed: bool) -> Callable[[float, float], list[bytes]]:
    """Return a coder of whole numbers, the low word first."""
    return lambda number, _: _words(round(number).to_bytes(size, signed=signed))[::-1]


_CODES: Mapping[str, Callable[[float, float], list[bytes]]] = MappingProxyType(
    {
        "u16": _whole(2, signed=False),
        "i16": _whole(2, signed=True),
        "u32": _whole(4, signed=False),
        "i32": _whole(4, signed=True),
        "float": lambda _, exact: _words(struct.pack(">f", exact)),
    }
)


def _exception(frame: bytes, reason: int) -> bytes:
    body = bytes([frame[0], frame[1] | 0x80, reason])
    return body + crc(body)


def crc(data: bytes) -> bytes:
    """Return CRC-16: polynomial A001 (reflected), initially FFFF, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return bytes([value & 0xFF, value >> 8])


class Place(NamedTuple):
    """What a variant says."""

    model: str
    address: int
    habit: str


def place(variant: str) -> Place:
    """Read a variant; raises ValueError for one that there is not."""
    where, _, habit = (variant or "sdm120").partition("+")
    name, _, number = where.partition("@")
    if name not in MODELS or habit not in HABITS or (number and not number.isdecimal()):
        models, habits = ", ".join(MODELS), ", ".join(HABITS[1:])
        msg = f"modbus has no variant {variant!r}; models: {models}; habits: {habits}"
        raise ValueError(msg)
    default = MODELS[name].general or 1
    return Place(name, int(number or default), habit)


def make(name: str, measure: Measure, variant: str = "") -> Slave:
    """Return a device on a bus."""
    model, address, habit = place(variant)
    return Slave(name, measure, MODELS[model], address, habit)
