"""Nova Fitness SDS011 (SDS018, SDS021): laser dust sensors.

    AA C0 | PM2.5 lo hi | PM10 lo hi | id id | sum | AB          9600 8N1, once per second

The sum is that of the six bytes before it, modulo 256. Mass in 0.1 ug/m3. The identity is the
sensor's own, fixed at the factory; old ones send 0.

AA C5 frames answer commands (reporting mode, sleep, version): no readings, they are ignored, as are
AA CF ones of the SDS198, which counts something else (PM100).

Trap: the sensor is sold with a lifetime of 8,000 hours, so many are set to wake up for 30 s every
few minutes only; it is silent in between.

Source: Laser Dust Sensor Control Protocol V1.3, Nova Fitness 2015.
"""

from typing import Final

from gateway.framing.checksums import sum8
from gateway.framing.sized import Sized
from gateway.model import Decoded, Device, Frame, Ignored, Malformed, Reading, Reason, Verdict

_SIZE: Final = 10
_HEAD: Final = 0xAA
_TAIL: Final = 0xAB
_MEASURED: Final = 0xC0
_KINDS: Final = frozenset({_MEASURED, 0xC5, 0xCF})


class Sds011Decoder:
    """Has nothing to remember."""

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data
        if not _is_valid(data):
            return Malformed(Reason.CHECKSUM, data)
        if data[1] != _MEASURED:
            return Ignored(Reason.UNSUPPORTED)
        values = {
            "pm25": int.from_bytes(data[2:4], "little") / 10,
            "pm10": int.from_bytes(data[4:6], "little") / 10,
        }
        device = data[6:8].hex() if any(data[6:8]) else ""
        return Decoded([Reading(values, device=device, measurement="air_quality")])


def _is_valid(data: bytes) -> bool:
    return (
        len(data) == _SIZE
        and data[0] == _HEAD
        and data[1] in _KINDS
        and data[9] == _TAIL
        and data[8] == sum8(data[2:8])
    )


def _size(header: bytes) -> int | None:
    return _SIZE if header[1] in _KINDS else None


def _framer() -> Sized:
    return Sized(bytes([_HEAD]), 2, _size, size_max=_SIZE, valid=_is_valid)


DEVICE = Device(
    name="sds011",
    summary="dust sensors SDS011, SDS018, SDS021 of Nova Fitness",
    decoder=Sds011Decoder,
    framer=_framer,
    baudrates=(9_600,),
)
