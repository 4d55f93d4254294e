"""Plantower particle sensors in active mode: one frame per emission.

    pms5003    (also 1003, 6003, 7003, 9003, A003)   13 words, the last one version and error code
    pms5003t   likewise; temperature and humidity take the place of the two largest particles
    pms3003    9 words, the last three reserved
    pms5003st  17 words: those of the 5003, formaldehyde, temperature, humidity, 2 reserved

A frame is `BM`, the number of bytes that follow (2 bytes), the words, and the 16-bit sum of all
bytes before it; everything big endian. For `Item.values` the words have the names of the manuals.
"""

import struct

from simulators.aerosol import masses
from simulators.devices import Item, Measure

VERSION = 0x9100

_SIZES = (("0.3", 140.0), ("0.5", 42.0), ("1.0", 7.5), ("2.5", 0.8), ("5.0", 0.3), ("10", 0.1))
"""Particles in 0.1 l beyond each size, per ug/m3 of PM2.5: a city's aerosol."""

_CF1 = 1.25
"""What the calibration particles weigh more than those of the atmosphere, roughly."""

_VARIANTS = {
    "pms5003": ("mass", "counts", "version"),
    "pms5003t": ("mass", "large counts", "climate", "version"),
    "pms3003": ("mass", "reserved", "reserved", "reserved"),
    "pms5003st": ("mass", "counts", "formaldehyde", "climate", "reserved", "version"),
}


class Pms:
    """One sensor."""

    def __init__(self, name: str, measure: Measure, parts: tuple[str, ...]) -> None:
        """Send these parts."""
        self.name = name
        self._measure = measure
        self._parts = parts

    def reset(self) -> None:
        """Has nothing to forget."""

    def emit(self, sequence: int, t: float) -> list[Item]:  # noqa: ARG002 -- Device's
        """Return one frame."""
        words: list[tuple[str, int]] = []
        for part in self._parts:
            words += self._words(part, t)
        values: dict[str, float | int | bool] = {name: word for name, word in words if name}
        return [Item("", _frame([word for _, word in words]), values)]

    def _words(self, part: str, t: float) -> list[tuple[str, int]]:
        """Return names and numbers; what has no name carries nothing."""
        if part == "mass":
            dust = masses(self._measure, t)
            mass = [round(dust.pm1), round(dust.pm25), round(dust.pm10)]
            return [
                *zip(("PM1.0 CF1", "PM2.5 CF1", "PM10 CF1"), map(_of_cf1, mass), strict=True),
                *zip(("PM1.0", "PM2.5", "PM10"), mass, strict=True),
            ]
        if part in ("counts", "large counts"):
            mass25 = self._measure("pm25", t)
            sizes = _SIZES if part == "counts" else _SIZES[:4]
            return [(f"> {size} um", min(round(mass25 * n), 0xFFFF)) for size, n in sizes]
        if part == "climate":
            tenths = [round(10 * self._measure(quantity, t)) for quantity in _CLIMATE]
            return list(zip(_CLIMATE, tenths, strict=True))
        if part == "formaldehyde":
            return [("formaldehyde", round(self._measure("formaldehyde", t)))]
        return [("", VERSION if part == "version" else 0)]


_CLIMATE = ("temperature", "humidity")


def _of_cf1(mass: int) -> int:
    return round(mass * _CF1)


def _frame(words: list[int]) -> bytes:
    data = b"BM" + struct.pack(">H", 2 * len(words) + 2)
    data += b"".join((word & 0xFFFF).to_bytes(2, "big") for word in words)
    return data + (sum(data) % 0x10000).to_bytes(2, "big")


def make(name: str, measure: Measure, variant: str = "") -> Pms:
    """Return a sensor; a PMS5003 where no variant is given."""
    parts = _VARIANTS.get(variant or "pms5003")
    if parts is None:
        msg = f"pms has no variant {variant!r}; there are {', '.join(_VARIANTS)}"
        raise ValueError(msg)
    return Pms(name, measure, parts)
