"""Sensirion SPS30: particulate matter, over its UART (pin SEL open), 115200 8N1.

SHDLC: frames between flags 7E; 7E, 7D, 11, 13 within one are sent as 7D and the byte with bit 5
inverted. The checksum is the inverted sum of all bytes before it.

    asked     address 00 | command | length | data | checksum
    answered  address 00 | command | state | length | data | checksum

    00 Start Measurement      asked with 01 03 (floats) or 01 05 (integers), answered without data
    03 Read Measured Values   asked without data, answered with ten numbers, big endian:
                              mass of PM1, PM2.5, PM4, PM10 in ug/m3; particles from 0.3 um up to
                              0.5, 1, 2.5, 4, 10 um per cm3; their typical size in um; or the same
                              as 16-bit integers, the size in nm; or nothing: no new values

Bit 7 of the state says that the sensor's own registers hold a fault (of its fan or laser), which
is a problem for the operator; its values are used all the same. The other bits are 0 or say why a
command is not carried out, 43 for "not allowed in the present state".

The measurement is started once the line is open; that it runs already is an answer too. It is
started again when the sensor says that it does not measure, when it did not answer (it may have
been without power), and when it has had nothing new for READINGS_WITHOUT, though it measures once
a second. In whatever format the measurement was started by others, the answers are read.

Limits: a sensor that was put to sleep is not woken up; its power has to be cycled.

Source: Datasheet SPS30 of Sensirion, version 1.0 (2020), section 5.
"""

import struct
from collections.abc import Sequence
from typing import Final

from gateway.asking import Poll, Request
from gateway.framing.checksums import inverted_sum8
from gateway.framing.stuffed import Hdlc
from gateway.model import (
    Decoded,
    Device,
    Frame,
    Ignored,
    Learned,
    Malformed,
    Reading,
    Reason,
    Value,
    Verdict,
)
from gateway.periodic import Periodic
from gateway.protocols.decimals import from_float32

READINGS_WITHOUT: Final = 5
"""So many come only of a sensor that does not measure, or while its fan cleans itself for 10 s; a
start too many does no harm."""

_START: Final = b"\x00\x00\x02\x01\x03\xf9"
_READ: Final = b"\x00\x03\x00\xfc"

_FAULT: Final = 0x80
_WRONG_STATE: Final = 0x43

_MISO_EMPTY: Final = 5
"""Bytes of an answer without data."""

_SIZE: Final = "typical_particle_size"
_NAMES: Final = (
    *("pm1", "pm25", "pm4", "pm10"),
    *(f"number_concentration_{size}" for size in ("0_5", "1", "2_5", "4", "10")),
    _SIZE,
)
_FLOATS: Final = struct.Struct(f">{len(_NAMES)}f")
_INTEGERS: Final = struct.Struct(f">{len(_NAMES)}H")


class Sps30Decoder(Periodic):
    """Starts the measurement, then asks for its values every `interval`."""

    def __init__(self, *, interval: str = "1s") -> None:
        super().__init__(interval)
        self._measures = False
        self._without = 0
        """Readings in a row that had nothing new."""
        self._faulty = False

    def begin(self, now_s: float) -> None:
        super().begin(now_s)
        self._measures = False

    def request(self) -> Request:
        content = _READ if self._measures else _START
        stuffed = 2 * (_MISO_EMPTY + _FLOATS.size) + 2
        return Request(b"\x7e" + content + b"\x7e", answer_size=stuffed, timeout_s=0.5)

    def give_up(self, now_s: float, poll: Poll) -> None:
        super().give_up(now_s, poll)
        self._measures = False

    def problems(self) -> Sequence[str]:
        fault = ("the sensor reports a fault of its fan or laser",) if self._faulty else ()
        return (*super().problems(), *fault)

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data
        if len(data) < len(_READ) or inverted_sum8(data[:-1]) != data[-1]:
            return Malformed(Reason.CHECKSUM, data)
        if data in (_START, _READ):
            return Ignored(Reason.ECHO)
        if len(data) < _MISO_EMPTY or len(data) != _MISO_EMPTY + data[3]:
            return Malformed(Reason.SYNTAX, data)
        command, state = data[1], data[2]
        self._faulty = bool(state & _FAULT)
        error = state & ~_FAULT
        if command == _START[1]:
            return self._started(data, error)
        if command == _READ[1]:
            return self._read(data, error)
        return Ignored(Reason.UNSUPPORTED)

    def _started(self, data: bytes, error: int) -> Verdict:
        if error not in (0, _WRONG_STATE):
            return self._refused(data)
        self._measures = True
        self._without = 0
        self.settle(Poll.ANSWERED)
        return Learned()

    def _read(self, data: bytes, error: int) -> Verdict:
        content = data[4:-1]
        if error == _WRONG_STATE:
            self._measures = False
        if error:
            return self._refused(data)
        if content and len(content) not in (_FLOATS.size, _INTEGERS.size):
            return Malformed(Reason.SYNTAX, data)
        self.settle(Poll.ANSWERED)
        if not content:
            self._without += 1
            self._measures = self._without < READINGS_WITHOUT
            return Learned()
        self._without = 0
        self._measures = True
        return Decoded([Reading(_values(content), measurement="air_quality")])

    def _refused(self, data: bytes) -> Malformed:
        self.settle(Poll.EXCEPTION)
        return Malformed(Reason.EXCEPTION, data)


def _values(content: bytes) -> dict[str, Value]:
    if len(content) == _FLOATS.size:
        return dict(zip(_NAMES, map(from_float32, _FLOATS.unpack(content)), strict=True))
    values = dict(zip(_NAMES, _INTEGERS.unpack(content), strict=True))
    return values | {_SIZE: values[_SIZE] / 1000}


def _framer() -> Hdlc:
    return Hdlc(size_max=600)


DEVICE = Device(
    name="sps30",
    summary="particulate matter sensor SPS30 of Sensirion; asked every interval",
    decoder=Sps30Decoder,
    framer=_framer,
    options=frozenset({"interval"}),
    baudrates=(115_200,),
)
