"""Nova Fitness SDS011 as it leaves the factory: one report per emission, without being asked.

    AA C0  PM2.5 lo hi  PM10 lo hi  id id  sum  AB

The masses are in tenths of ug/m3; the sum is that of the six bytes before it. The two bytes of the
identity follow from the device's name.
"""

from zlib import crc32

from simulators.aerosol import masses
from simulators.devices import Item, Measure


class Sds011:
    """One sensor."""

    def __init__(self, name: str, measure: Measure) -> None:
        """Have an identity that is always the same for a name."""
        self.name = name
        self.identity = (crc32(name.encode()) & 0xFFFF).to_bytes(2, "big")
        self._measure = measure

    def reset(self) -> None:
        """Has nothing to forget."""

    def emit(self, sequence: int, t: float) -> list[Item]:  # noqa: ARG002 -- Device's
        """Return one report."""
        dust = masses(self._measure, t)
        fine, coarse = _tenths(dust.pm25), _tenths(dust.pm10)
        body = fine.to_bytes(2, "little") + coarse.to_bytes(2, "little") + self.identity
        data = b"\xaa\xc0" + body + bytes([sum(body) % 0x100]) + b"\xab"
        return [Item("", data, {"PM2.5": fine, "PM10": coarse})]


def _tenths(mass: float) -> int:
    """Return what the sensor says; its range ends at 999.9 ug/m3."""
    return min(round(10 * mass), 9999)


def make(name: str, measure: Measure, variant: str = "") -> Sds011:
    """Return a sensor; there is one kind only."""
    if variant:
        msg = f"sds011 has no variant {variant!r}"
        raise ValueError(msg)
    return Sds011(name, measure)
