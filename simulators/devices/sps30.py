"""Sensirion SPS30 on its UART: it measures once started, and tells when asked.

Frames stand between flags 7E and end with the inverted sum of their bytes. Within, 7E, 7D, 11 and
13 are sent as 7D 5E, 7D 5D, 7D 31, 7D 33.

    asked  00 command length data sum       answered  00 command state length data sum

Commands: 00 start (01 03 floats, 01 05 integers), 01 stop, 03 read, D3 reset. States: 01 wrong
length of data, 02 unknown command, 04 wrong parameter, 43 not allowed now: reading or stopping
while it is idle, starting while it measures. New values are there a second after the start and then
once a second; what was read already, and what is not there yet, is an answer without data.
"""

import struct

from simulators.aerosol import masses
from simulators.devices import Measure, Reply

MEASURED_EVERY_S = 1.0

_FLAG = 0x7E
_STUFFED = {0x7E: 0x5E, 0x7D: 0x5D, 0x11: 0x31, 0x13: 0x33}
_WHOLE = {bytes([second]): bytes([plain]) for plain, second in _STUFFED.items()}

_FLOATS, _INTEGERS = 3, 5
_OK, _LENGTH, _UNKNOWN, _PARAMETER, _NOT_NOW = 0, 1, 2, 4, 0x43

_MASS = ("PM1.0", "PM2.5", "PM4.0", "PM10")
_PER_PM25 = (("0.5", 6.0), ("1.0", 7.1), ("2.5", 7.4), ("4.0", 7.45), ("10", 7.5))
"""Particles per cm3 up to each size, per ug/m3 of PM2.5."""


class Sps30:
    """One sensor."""

    def __init__(self, name: str, measure: Measure) -> None:
        """Be idle."""
        self.name = name
        self._measure = measure
        self._received = b""
        self._form = 0
        """What it measures in; 0 while it is idle."""
        self._next_at = 0.0
        """When there will be values that were not read yet."""

    def reset(self) -> None:
        """Lose power: it is idle then."""
        self._received = b""
        self._form = 0

    def receive(self, data: bytes, t: float) -> list[Reply]:
        """Answer every whole frame whose sum is right."""
        *frames, self._received = (self._received + data).split(bytes([_FLAG]))
        replies = []
        for stuffed in frames:
            frame = _unstuffed(stuffed)
            if len(frame) > 3 and frame[0] == 0 and frame[-1] == _sum(frame[:-1]):  # noqa: PLR2004
                replies.append(self._answer(frame[1], frame[2], frame[3:-1], t))
        return replies

    def _answer(self, command: int, length: int, data: bytes, t: float) -> Reply:
        numbers: dict[str, float] = {}
        content = b""
        state = _LENGTH
        if length == len(data):
            state = self._carry_out(command, data, t)
        if command == 3 and state == _OK and t >= self._next_at:  # noqa: PLR2004 -- read
            self._next_at += ((t - self._next_at) // MEASURED_EVERY_S + 1) * MEASURED_EVERY_S
            numbers, content = self._measured(t)
        frame = bytes([0, command, state, len(content)]) + content
        return Reply(_stuffed(frame + bytes([_sum(frame)])), 0.005, numbers)

    def _carry_out(self, command: int, data: bytes, t: float) -> int:
        """Return the state after the command."""
        if command == 0:
            return self._start(data, t)
        if command == 1:
            state = _OK if self._form else _NOT_NOW
            self._form = 0
            return state
        if command == 3:  # noqa: PLR2004 -- read
            return _OK if self._form else _NOT_NOW
        if command == 0xD3:  # noqa: PLR2004 -- reset
            self._form = 0
            return _OK
        return _UNKNOWN

    def _start(self, data: bytes, t: float) -> int:
        if len(data) != 2:  # noqa: PLR2004 -- 01 and the form
            return _LENGTH
        if data[0] != 1 or data[1] not in (_FLOATS, _INTEGERS):
            return _PARAMETER
        if self._form:
            return _NOT_NOW
        self._form = data[1]
        self._next_at = t + MEASURED_EVERY_S
        return _OK

    def _measured(self, t: float) -> tuple[dict[str, float], bytes]:
        """Return the ten numbers under the data sheet's names, and as bytes."""
        dust = masses(self._measure, t)
        values = dict(zip(_MASS, dust, strict=True))
        values |= {f"0.3 to {size} um": dust.pm25 * factor for size, factor in _PER_PM25}
        values["typical size"] = 0.5 + min(dust.pm25, 100.0) / 500.0
        if self._form == _FLOATS:
            content = struct.pack(">10f", *values.values())
            return dict(zip(values, struct.unpack(">10f", content), strict=True)), content
        values["typical size"] *= 1000.0
        whole = {name: float(round(value)) for name, value in values.items()}
        return whole, struct.pack(">10H", *map(int, whole.values()))


def _sum(frame: bytes) -> int:
    return 0xFF - sum(frame) % 0x100


def _stuffed(frame: bytes) -> bytes:
    body = bytearray()
    for byte in frame:
        body += bytes([0x7D, _STUFFED[byte]]) if byte in _STUFFED else bytes([byte])
    return bytes([_FLAG]) + bytes(body) + bytes([_FLAG])


def _unstuffed(stuffed: bytes) -> bytes:
    """Return the frame; one with a broken pair is empty."""
    first, *parts = stuffed.split(b"\x7d")
    if any(part[:1] not in _WHOLE for part in parts):
        return b""
    return first + b"".join(_WHOLE[part[:1]] + part[1:] for part in parts)


def make(name: str, measure: Measure, variant: str = "") -> Sps30:
    """Return a sensor; there is one kind only."""
    if variant:
        msg = f"sps30 has no variant {variant!r}"
        raise ValueError(msg)
    return Sps30(name, measure)
