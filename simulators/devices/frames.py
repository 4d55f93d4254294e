r"""A product that nobody has a decoder for: a scale with frames, or a board with lines of prose.

The scale (no variant) sends its weight in hundredths of a kilogram, high byte first:

    AA 55  04  weight hi lo  battery  status  crc lo hi

04 counts the bytes between itself and the checksum, which is CRC-16/MODBUS over all but AA 55. Bit
0 of the status says that the weight has come to rest. The board (`line`) prints this and no more:

    T=21.53 C, H=45.2 %\r\n

`OPTIONS` says what a gateway that knows neither must be told of them.
"""

from simulators.devices import Item, Measure

MARK = b"\xaa\x55"
REST = 2  # hundredths from one weight to the next

OPTIONS = {
    "": """\
start = "AA 55"
length = { at = 2, type = "uint8", add = 5 }
checksum = { kind = "crc16_modbus", order = "little", from = 2, at = -2 }
values = [
  { name = "weight", at = 3, type = "int16", scale = 0.01, unit = "kg" },
  { name = "battery", at = 5, type = "uint8", unit = "%" },
  { name = "stable", at = 6, type = "bit", bit = 0 },
]""",
    "line": """\
pattern = 'T=(?P<temperature>[-0-9.]+) C, H=(?P<humidity>[0-9.]+) %'
units = { temperature = "degC", humidity = "%" }""",
}


class Scale:
    """A scale with a battery."""

    def __init__(self, name: str, measure: Measure) -> None:
        """Stand empty."""
        self.name = name
        self._measure = measure
        self._last = 0

    def reset(self) -> None:
        """Forget the last weight."""
        self._last = 0

    def emit(self, sequence: int, t: float) -> list[Item]:  # noqa: ARG002 -- Device's
        """Return one frame."""
        weight = round(100 * self._measure("weight", t))
        battery = round(self._measure("battery", t))
        stable = abs(weight - self._last) <= REST
        self._last = weight
        body = weight.to_bytes(2, "big", signed=True) + bytes([battery, stable])
        covered = bytes([len(body)]) + body
        data = MARK + covered + crc16(covered).to_bytes(2, "little")
        return [Item("", data, {"weight": weight, "battery": battery, "stable": stable})]


class Board:
    """A board with a sensor of temperature and humidity."""

    def __init__(self, name: str, measure: Measure) -> None:
        """Print in one way only."""
        self.name = name
        self._measure = measure

    def reset(self) -> None:
        """Has nothing to forget."""

    def emit(self, sequence: int, t: float) -> list[Item]:  # noqa: ARG002 -- Device's
        """Return one line."""
        temperature = round(self._measure("temperature", t), 2)
        humidity = round(self._measure("humidity", t), 1)
        line = f"T={temperature:.2f} C, H={humidity:.1f} %\r\n"
        return [Item("", line.encode(), {"temperature": temperature, "humidity": humidity})]


def crc16(data: bytes) -> int:
    """Return CRC-16/MODBUS, bit by bit."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return value


def make(name: str, measure: Measure, variant: str = "") -> Scale | Board:
    """Return the scale, or the board."""
    if variant not in OPTIONS:
        msg = f"frames has no variant {variant!r}"
        raise ValueError(msg)
    return Board(name, measure) if variant == "line" else Scale(name, measure)
