"""A French electricity meter and what it tells its customer (Enedis-NOI-CPT_54E).

* `historic`  1200 baud: a single-phase Linky with peak and off-peak hours; the usual one
* `standard`  9600 baud: a three-phase Linky whose owner also feeds in
* `alarm`     the short frames that a three-phase meter in historic mode sends on an overload

Characters have seven bits and even parity, so the bytes are those that a reader of eight bits sees.
Numbers in the values are those on the wire under their labels.
"""

import zlib
from collections.abc import Callable

from simulators.dates import clock
from simulators.devices import Item, Measure, Values, even_parity

ZONE = "Europe/Paris"
HALF_HOUR_S = 1800.0
TEN_MINUTES_S = 600.0
VOLTS = 230.0


class Frame:
    """The groups of a frame, and the numbers in them."""

    def __init__(self) -> None:
        """Begin with none."""
        self.values: Values = {}
        self._groups: list[str] = []

    @property
    def data(self) -> bytes:
        """Return the frame as a reader of eight bits sees it."""
        return even_parity(f"\x02{''.join(self._groups)}\x03".encode())

    def historic(self, label: str, value: str) -> None:
        """Add a group of historic mode: the separator before the checksum is not in it."""
        text = f"{label} {value}"
        self._groups.append(f"\n{text} {checksum(text)}\r")

    def standard(self, label: str, *fields: str) -> None:
        """Add a group of standard mode: the separator before the checksum is in it."""
        text = "\t".join([label, *fields, ""])
        self._groups.append(f"\n{text}{checksum(text)}\r")

    def number(
        self, add: Callable[..., None], label: str, width: int, value: float, *at: str
    ) -> None:
        """Add a whole number with one of the above."""
        self.values[label] = round(value)
        add(label, *at, f"{round(value):0{width}}")


class Meter:
    """A meter of one variant."""

    def __init__(self, name: str, measure: Measure, variant: str) -> None:
        """Stand where `measure` measures."""
        self.name = name
        self._measure = measure
        self._write = {
            "historic": self._historic,
            "standard": self._standard,
            "alarm": self._alarm,
        }[variant]
        self._address = f"{zlib.crc32(name.encode()):012}"
        self._curve: tuple[float, float] = (-1.0, 0.0)
        """When the last half hour ended, and its power."""

    def emit(self, sequence: int, t: float) -> list[Item]:
        """Return one frame."""
        del sequence
        frame = Frame()
        self._write(frame, t)
        return [Item("", frame.data, frame.values)]

    def reset(self) -> None:
        """Start again; the registers of a meter outlive a loss of power."""

    def _historic(self, frame: Frame, t: float) -> None:
        energy_wh, power = self._measure("energy", t) * 1000.0, self._measure("power", t)
        frame.historic("ADCO", self._address)
        frame.historic("OPTARIF", "HC..")
        frame.number(frame.historic, "ISOUSC", 2, 45)
        frame.number(frame.historic, "HCHC", 9, energy_wh * 0.4)
        frame.number(frame.historic, "HCHP", 9, energy_wh * 0.6)
        frame.historic("PTEC", "HP..")
        frame.number(frame.historic, "IINST", 3, power / VOLTS)
        frame.historic("IMAX", "090")
        frame.number(frame.historic, "PAPP", 5, round(power, -1))
        frame.historic("HHPHC", "A")
        frame.historic("MOTDETAT", "000000")

    def _standard(self, frame: Frame, t: float) -> None:
        energy_wh = self._measure("energy", t) * 1000.0
        power = self._measure("power", t) - self._measure("panel_power", t)
        frame.standard("ADSC", self._address)
        frame.standard("VTIC", "02")
        frame.standard("DATE", stamp(t), "")
        frame.standard("NGTF", "H PLEINE/CREUSE ")
        frame.standard("LTARF", " HEURE  PLEINE  ")
        frame.number(frame.standard, "EAST", 9, energy_wh)
        for n, share in enumerate((0.4, 0.6, *[0.0] * 8), 1):
            frame.number(frame.standard, f"EASF{n:02}", 9, energy_wh * share)
        frame.number(frame.standard, "EAIT", 9, energy_wh * 0.1)
        for n in range(1, 5):
            frame.number(frame.standard, f"ERQ{n}", 9, energy_wh * 0.02 * n)
        for n in range(1, 4):
            frame.number(frame.standard, f"IRMS{n}", 3, abs(power) / 3.0 / VOLTS)
        for n in range(1, 4):
            frame.number(frame.standard, f"URMS{n}", 3, self._measure("voltage", t))
        frame.number(frame.standard, "PREF", 2, 9)
        frame.number(frame.standard, "SINSTS", 5, max(power, 0.0))
        for n in range(1, 4):
            frame.number(frame.standard, f"SINSTS{n}", 5, max(power, 0.0) / 3.0)
        frame.number(frame.standard, "SMAXSN", 5, 4800, stamp(0.0))
        frame.number(frame.standard, "SINSTI", 5, max(-power, 0.0))
        self._averages(frame, t)
        frame.standard("STGE", "00000100")
        frame.standard("MSG1", "PAS DE          MESSAGE         ")
        frame.standard("PRM", "00000000000000")
        frame.number(frame.standard, "NTARF", 2, 2)
        frame.standard("NJOURF+1", "00")

    def _averages(self, frame: Frame, t: float) -> None:
        """Add the last point of the load curve, and the mean voltages of the last ten minutes."""
        half_hour = t - t % HALF_HOUR_S
        if half_hour != self._curve[0]:
            self._curve = half_hour, self._measure("power", t)
        frame.number(frame.standard, "CCASN", 5, self._curve[1], stamp(half_hour))
        frame.number(frame.standard, "CCAIN", 5, 0, stamp(half_hour))
        for n in range(1, 4):
            frame.number(frame.standard, f"UMOY{n}", 3, 229 + n, stamp(t - t % TEN_MINUTES_S))

    def _alarm(self, frame: Frame, t: float) -> None:
        current = 45.0 + self._measure("current", t)
        for n in range(1, 4):
            frame.number(frame.historic, f"ADIR{n}", 3, current + n)
        frame.historic("ADCO", self._address)
        for n in range(1, 4):
            frame.number(frame.historic, f"IINST{n}", 3, current + n)


def checksum(text: str) -> str:
    """Return the checksum of a group."""
    return chr(sum(text.encode()) % 64 + 32)


def stamp(t: float) -> str:
    """Return the meter's time: the season, E or H, and YYMMDDhhmmss."""
    shown = clock(ZONE, t)
    return f"{'E' if shown.dst() else 'H'}{shown:%y%m%d%H%M%S}"


def make(name: str, measure: Measure, variant: str = "") -> Meter:
    """Return a meter: `historic`, if not told otherwise, `standard` or `alarm`."""
    if variant not in ("", "historic", "standard", "alarm"):
        message = f"a teleinfo meter is historic, standard or alarm, not {variant!r}"
        raise ValueError(message)
    return Meter(name, measure, variant or "historic")
