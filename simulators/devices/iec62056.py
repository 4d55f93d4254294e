"""An electricity meter that sends its registers by itself, as IEC 62056-21 writes them.

* `q3d`  pushes every few seconds: long OBIS codes, seven decimals, no check; the usual one
* `d0`   a full answer: short codes, earlier periods, dates and error numbers, STX, ETX and a block
         check character, and the parity bit of seven-bit characters

Numbers in the values are those on the wire under their codes, without medium and period.
"""

import zlib

from simulators.devices import Item, Measure, Values, even_parity

VARIANTS = ("q3d", "d0")
STX, ETX = b"\x02", b"\x03"


class Meter:
    """A meter of one variant."""

    def __init__(self, name: str, measure: Measure, variant: str) -> None:
        """Stand where `measure` measures."""
        self.name = name
        self._measure = measure
        self._variant = variant
        self._serial = zlib.crc32(name.encode())

    def emit(self, sequence: int, t: float) -> list[Item]:
        """Return one telegram."""
        del sequence
        if self._variant == "d0":
            return [self._answer(t)]
        return [self._push(t)]

    def reset(self) -> None:
        """Start again; the registers of a meter outlive a loss of power."""

    def _push(self, t: float) -> Item:
        energy, power = self._measure("energy", t), self._measure("power", t)
        values: Values = {}
        lines = [f"1-0:0.0.0*255({self._serial:010})"]
        for code, value, form, unit in (
            ("1.8.0", energy, "016.7f", "kWh"),
            ("2.8.0", energy * 0.05, "016.7f", "kWh"),
            ("21.7.0", power * 0.5, "09.2f", "W"),
            ("41.7.0", power * 0.3, "09.2f", "W"),
            ("61.7.0", power * 0.2, "09.2f", "W"),
            ("1.7.0", power, "09.2f", "W"),
        ):
            digits = f"{value:{form}}"
            values[code] = float(digits)
            lines.append(f"1-0:{code}*255({digits}*{unit})")
        lines += ["1-0:96.5.5*255(80)", f"0-0:96.1.255*255(1SIM{self._serial:010})", "!", ""]
        text = "\r\n".join(["/SIM5PUSH V1.00", "", *lines])
        return Item("", text.encode(), values)

    def _answer(self, t: float) -> Item:
        energy = self._measure("energy", t)
        values: Values = {}
        lines = ["F.F(00000000)", f"0.0.0({self._serial:010})", "0.9.1(120000)", "0.9.2(260329)"]
        for code, value, form, unit in (
            ("1.8.0", energy, "011.2f", "kWh"),
            ("1.8.1", energy * 0.7, "011.2f", "kWh"),
            ("1.8.2", energy * 0.3, "011.2f", "kWh"),
            ("3.8.0", energy * 0.1, "011.2f", "kvarh"),
            ("32.7.0", self._measure("voltage", t), "05.1f", "V"),
            ("31.7.0", self._measure("current", t), "06.2f", "A"),
            ("14.7.0", self._measure("frequency", t), "05.2f", "Hz"),
            ("1.7.0", self._measure("power", t) / 1000.0, "07.3f", "kW"),
        ):
            digits = f"{value:{form}}"
            values[code] = float(digits)
            lines.append(f"{code}({digits}*{unit})")
        lines += ["1.8.0*01(00001200.00*kWh)1.8.0*02(00001100.00*kWh)", "0.2.0(1.00)"]
        block = "\r\n".join([*lines, "!", ""]).encode() + ETX
        text = b"/SIM4D0-1\r\n" + STX + block + bytes([check_character(block)])
        return Item("", even_parity(text), values)


def check_character(block: bytes) -> int:
    """Return the longitudinal parity of the characters behind STX, ETX included (ISO 1155)."""
    check = 0
    for character in block:
        check ^= character
    return check


def make(name: str, measure: Measure, variant: str = "") -> Meter:
    """Return a meter; the variant is one of `VARIANTS`, `q3d` if not told."""
    if variant and variant not in VARIANTS:
        message = f"an iec62056 meter is one of {', '.join(VARIANTS)}, not {variant!r}"
        raise ValueError(message)
    return Meter(name, measure, variant or "q3d")
