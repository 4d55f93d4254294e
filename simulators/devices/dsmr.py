"""A smart meter with a P1 port, and a gas meter behind it.

The telegrams are those of the companion standards P1 2.2, 4.2 and 5.0.2 of Netbeheer Nederland and
of e-MUCS P1 1.7 of Fluvius:

* `v2.2`     no CRC, no time; the gas meter's hourly value in two lines
* `v4`       three phases, counts of failures, hourly gas
* `v5`       voltages too, gas every five minutes; the usual one
* `fluvius`  demands, a water meter on the second channel; tariff 1 is the high one
* `7e1`      as v4, with the parity bit of seven-bit characters

Power comes from the grid or, when the sun shines, goes into it. Numbers in the values are those on
the wire under their OBIS codes, channel and all.
"""

import zlib
from collections.abc import Callable

from simulators.dates import clock
from simulators.devices import Item, Measure, Values, even_parity

ZONE = "Europe/Amsterdam"
HOUR_S = 3600.0
FIVE_MINUTES_S = 300.0


class Lines:
    """The lines of a telegram, and the numbers in them."""

    def __init__(self, serial: int) -> None:
        """Begin with none; the meter has a serial number."""
        self._serial = serial
        self.text: list[str] = []
        self.values: Values = {}

    def add(self, line: str) -> None:
        """Add a line as it is."""
        self.text.append(line)

    def identifier(self, code: str, kind: str) -> None:
        """Add the identifier of this kind of equipment, in hexadecimal digits."""
        self.add(f"{code}({f'{kind}{self._serial:010}'.encode().hex().upper()})")

    def number(self, code: str, value: float, form: str, before: str = "") -> None:
        """Add a number; the form is `width.decimals*unit`, or without a unit."""
        width, _, unit = form.partition("*")
        digits = f"{max(value, 0.0):0{width}f}"
        self.values[code] = float(digits)
        self.add(f"{code}{before}({digits}{'*' + unit if unit else ''})")


class Mains:
    """What the electricity meter measures, of which one direction is always 0."""

    def __init__(self, measure: Measure) -> None:
        """Measure a house with panels on its roof."""
        self._measure = measure

    def power_kw(self, t: float) -> float:
        """Return the power from the grid, below 0 into it."""
        return (self._measure("power", t) - self._measure("panel_power", t)) / 1000.0

    def registers(self, lines: Lines, t: float, form: str) -> None:
        """Add the energy of two tariffs and two directions."""
        energy = self._measure("energy", t)
        for code, share in (("1.8.1", 0.6), ("1.8.2", 0.4), ("2.8.1", 0.05), ("2.8.2", 0.01)):
            lines.number(f"1-0:{code}", energy * share, form)

    def powers(self, lines: Lines, t: float, form: str) -> None:
        """Add the power of both directions."""
        power = self.power_kw(t)
        lines.number("1-0:1.7.0", power, form)
        lines.number("1-0:2.7.0", -power, form)

    def phases(self, lines: Lines, t: float, current: str) -> None:
        """Add current and power of three phases, all directions."""
        power = self.power_kw(t) / 3.0
        for c in (31, 51, 71):
            lines.number(f"1-0:{c}.7.0", self._measure("current", t), current)
        for c in (21, 41, 61):
            lines.number(f"1-0:{c}.7.0", power, "06.3*kW")
        for c in (22, 42, 62):
            lines.number(f"1-0:{c}.7.0", -power, "06.3*kW")

    def voltages(self, lines: Lines, t: float) -> None:
        """Add the voltage of three phases."""
        for c in (32, 52, 72):
            lines.number(f"1-0:{c}.7.0", self._measure("voltage", t), "05.1*V")


class Meter:
    """A meter with a gas meter that tells it its value now and then."""

    def __init__(self, name: str, measure: Measure, model: "Model") -> None:
        """Stand where `measure` measures."""
        self.name = name
        self._measure = measure
        self._mains = Mains(measure)
        self._model = model
        self._told_at = -1.0
        self._gas = 0.0

    def emit(self, sequence: int, t: float) -> list[Item]:
        """Return one telegram."""
        del sequence
        told_at = t - t % self._model.gas_every_s
        if told_at != self._told_at:
            self._told_at = told_at
            self._gas = self._measure("energy", t) * 0.093
        lines = Lines(zlib.crc32(self.name.encode()))
        self._model.write(lines, self._mains, t, (stamp(told_at), self._gas))
        text = "\r\n".join([self._model.identification, "", *lines.text, "!"]).encode()
        crc = f"{crc16(text):04X}" if self._model.has_crc else ""
        data = text + crc.encode() + b"\r\n"
        return [Item("", even_parity(data) if self._model.parity else data, lines.values)]

    def reset(self) -> None:
        """Start again; the registers of a meter outlive a loss of power."""


Gas = tuple[str, float]
"""When the gas meter told its value, and the value."""


class Model:
    """One version of the standard."""

    def __init__(
        self,
        identification: str,
        write: Callable[[Lines, Mains, float, Gas], None],
        *,
        gas_every_s: float = HOUR_S,
        has_crc: bool = True,
        parity: bool = False,
    ) -> None:
        """Write telegrams with `write`."""
        self.identification = identification
        self.write = write
        self.gas_every_s = gas_every_s
        self.has_crc = has_crc
        self.parity = parity


def _write_v2(lines: Lines, mains: Mains, t: float, gas: Gas) -> None:
    lines.identifier("0-0:96.1.1", "SIM2")
    mains.registers(lines, t, "09.3*kWh")
    lines.number("0-0:96.14.0", 1, "04.0")
    mains.powers(lines, t, "07.2*kW")
    lines.add("0-0:17.0.0(0999.00*kW)")
    lines.add("0-0:96.13.0()")
    lines.add("0-1:24.1.0(3)")
    lines.identifier("0-1:96.1.0", "SIMGAS")
    lines.add(f"0-1:24.3.0({gas[0][:-1]})(00)(60)(1)(0-1:24.2.1)(m3)")
    lines.values["0-1:24.3.0"] = float(f"{gas[1]:09.3f}")
    lines.add(f"({gas[1]:09.3f})")
    lines.add("0-1:24.4.0(1)")


def _write_v4(lines: Lines, mains: Mains, t: float, gas: Gas) -> None:
    _write_head(lines, mains, t, "42")
    mains.phases(lines, t, "03.0*A")
    lines.add("0-0:96.13.1()")
    lines.add("0-0:96.13.0()")
    _write_gas(lines, gas, "24.2.1", "96.1.0")


def _write_v5(lines: Lines, mains: Mains, t: float, gas: Gas) -> None:
    _write_head(lines, mains, t, "50")
    lines.add("0-0:96.13.0()")
    mains.voltages(lines, t)
    mains.phases(lines, t, "03.0*A")
    _write_gas(lines, gas, "24.2.1", "96.1.0")


def _write_fluvius(lines: Lines, mains: Mains, t: float, gas: Gas) -> None:
    lines.add("0-0:96.1.4(50217)")
    lines.identifier("0-0:96.1.1", "1SIM")
    lines.add(f"0-0:1.0.0({stamp(t)})")
    mains.registers(lines, t, "010.3*kWh")
    lines.number("0-0:96.14.0", 2, "04.0")
    lines.number("1-0:1.4.0", mains.power_kw(t), "06.3*kW")
    lines.number("1-0:1.6.0", 4.132, "06.3*kW", f"({stamp(0.0)})")
    lines.add("0-0:98.1.0(0)(1-0:1.6.0)(1-0:1.6.0)()")
    mains.powers(lines, t, "06.3*kW")
    mains.voltages(lines, t)
    mains.phases(lines, t, "06.2*A")
    lines.add("0-0:96.3.10(1)")
    lines.add("0-0:17.0.0(999.9*kW)")
    lines.add("1-0:31.4.0(999*A)")
    lines.add("0-0:96.13.0()")
    _write_gas(lines, gas, "24.2.3", "96.1.1")
    lines.add("0-2:24.1.0(007)")
    lines.identifier("0-2:96.1.1", "8SIM")
    lines.number("0-2:24.2.1", gas[1] * 0.4, "09.3*m3", f"({gas[0]})")


def _write_head(lines: Lines, mains: Mains, t: float, version: str) -> None:
    lines.add(f"1-3:0.2.8({version})")
    lines.add(f"0-0:1.0.0({stamp(t)})")
    lines.identifier("0-0:96.1.1", f"SIM{version}")
    mains.registers(lines, t, "010.3*kWh")
    lines.number("0-0:96.14.0", 2, "04.0")
    mains.powers(lines, t, "06.3*kW")
    lines.number("0-0:96.7.21", 4, "05.0")
    lines.number("0-0:96.7.9", 2, "05.0")
    lines.add(f"1-0:99.97.0(1)(0-0:96.7.19)({stamp(0.0)})(0000000240*s)")
    for c in (32, 52, 72):
        lines.number(f"1-0:{c}.32.0", 0, "05.0")
        lines.number(f"1-0:{c}.36.0", 1, "05.0")


def _write_gas(lines: Lines, gas: Gas, code: str, identifier: str) -> None:
    lines.add("0-1:24.1.0(003)")
    lines.identifier(f"0-1:{identifier}", "SIMGAS")
    lines.number(f"0-1:{code}", gas[1], "09.3*m3", f"({gas[0]})")


def stamp(t: float) -> str:
    """Return the meter's time: YYMMDDhhmmss, and S in summer or W in winter."""
    shown = clock(ZONE, t)
    return f"{shown:%y%m%d%H%M%S}{'S' if shown.dst() else 'W'}"


def crc16(data: bytes) -> int:
    """Return the CRC of P1: x16 + x15 + x2 + 1, the least significant bit first, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


MODELS = {
    "v2.2": Model("/SIM5P1-22", _write_v2, has_crc=False),
    "v4": Model("/SIM5P1-42", _write_v4),
    "v5": Model("/SIM5P1-50", _write_v5, gas_every_s=FIVE_MINUTES_S),
    "fluvius": Model("/FLU5\\SIM000017_A", _write_fluvius, gas_every_s=FIVE_MINUTES_S),
    "7e1": Model("/SIM5P1-42", _write_v4, parity=True),
}


def make(name: str, measure: Measure, variant: str = "") -> Meter:
    """Return a meter; the variants are the keys of `MODELS`, `v5` if not told."""
    if variant and variant not in MODELS:
        message = f"a dsmr meter is one of {', '.join(MODELS)}, not {variant!r}"
        raise ValueError(message)
    return Meter(name, measure, MODELS[variant or "v5"])
