"""Winsen MH-Z19, MH-Z19B, MH-Z19C (and MH-Z14A, MH-Z16): infrared carbon dioxide sensors.

    asked     FF 01 86 00 00 00 00 00 79                     9600 8N1
    answered  FF 86 | CO2 hi lo | temperature + 40 | 4 bytes of which the last is the checksum

The checksum is what makes the sum of all bytes but the first 0 modulo 256. Carbon dioxide in ppm.

The temperature is not in the data sheets, which show 0 there, and then there is none. It is the
board's own, in whole degrees and uncalibrated, some degrees above the room's: `device_temperature`.
What the bytes after it hold differs between the models.

Answers to other commands (99: range, 79: self-calibration) are ignored.

Trap: for one to three minutes after power-on these sensors answer with numbers that mean nothing,
mostly 400 to 600 ppm, and nothing in the answer says so. They are passed on as they are.

Source: User's Manuals of Winsen, MH-Z19 V1.0 (2015) to MH-Z19C V1.0 (2020); the temperature was
found by users.
"""

from typing import Final

from gateway.asking import Poll, Request
from gateway.framing.checksums import negative_sum8
from gateway.framing.sized import Sized
from gateway.model import Decoded, Device, Frame, Ignored, Malformed, Reading, Reason, Verdict
from gateway.periodic import Periodic

_SIZE: Final = 9
_START: Final = 0xFF
_READ: Final = 0x86
_QUESTION: Final = bytes([_START, 1, _READ, 0, 0, 0, 0, 0, 0x79])
_ZERO_DEGREES: Final = 40


class Mhz19Decoder(Periodic):
    """Asks for the concentration every `interval`."""

    def __init__(self, *, interval: str = "10s") -> None:
        super().__init__(interval)

    def request(self) -> Request:
        return Request(_QUESTION, answer_size=_SIZE)

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data
        if not _is_valid(data):
            return Malformed(Reason.CHECKSUM, data)
        if data == _QUESTION:
            return Ignored(Reason.ECHO)
        if data[1] != _READ:
            return Ignored(Reason.UNSUPPORTED)
        self.settle(Poll.ANSWERED)
        values = {"carbon_dioxide": int.from_bytes(data[2:4], "big")}
        if data[4]:
            values["device_temperature"] = data[4] - _ZERO_DEGREES
        return Decoded([Reading(values, measurement="air_quality")])


def _is_valid(data: bytes) -> bool:
    return len(data) == _SIZE and data[0] == _START and data[_SIZE - 1] == negative_sum8(data[1:-1])


def _size(header: bytes) -> int | None:
    """No command is FF, so of several in a row the last one begins the frame."""
    return None if header[1] == _START else _SIZE


def _framer() -> Sized:
    return Sized(bytes([_START]), 2, _size, size_max=_SIZE, valid=_is_valid)


DEVICE = Device(
    name="mhz19",
    summary="carbon dioxide sensors MH-Z19, MH-Z19B, MH-Z19C of Winsen; asked every interval",
    decoder=Mhz19Decoder,
    framer=_framer,
    options=frozenset({"interval"}),
    baudrates=(9_600,),
)
