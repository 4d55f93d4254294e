r"""Plantower's particle sensors: PMS1003, 3003, 5003, 5003S, 5003T, 5003ST, 6003, 7003, 9003, A003.

    42 4D | length | word 1 ... word n | sum          9600 8N1, all numbers big endian

They speak by themselves, once in 0.2 to 2.3 s. The length counts what follows it, in bytes; the
last word is the sum of all bytes before it.

    length  words
    20      3003                        1-6 mass
    28      1003, 5003, 7003, A003, ..  1-6 mass, 7-12 counts
    28      5003S                       1-6 mass, 7-12 counts, 13 formaldehyde
    28      5003T                       1-6 mass, 7-10 counts, 11 temperature, 12 humidity
    36      5003ST                      1-6 mass, 7-12 counts, 13 formaldehyde, 14, 15 likewise
    4       the answer to a command (passive mode, sleep): no reading

* Mass in ug/m3: words 1-3 as of the factory's calibration particles ("CF=1"), 4-6 "under
  atmospheric environment", each PM1, PM2.5, PM10. The latter are what stations publish, and get
  the plain names.
* Counts: particles larger than 0.3, 0.5, 1, 2.5, 5, 10 um in 0.1 l of air; here per cm3.
* Formaldehyde in ug/m3; temperature (signed) in 0.1 Cel; humidity in 0.1 %.
* Words that are left over are reserved, or version and error code of an undocumented kind.

Traps: nothing in a frame of length 28 tells 5003, 5003S and 5003T apart, so the option `model` has
to; after power-on some send zeros for a few seconds, which cannot be told from clean air.

Source: the data manuals of Plantower, PMS3003 to PMSA003, 2014 to 2018.
"""

import struct
from collections.abc import Mapping
from typing import Final

from gateway.errors import ConfigError
from gateway.framing.checksums import sum16
from gateway.framing.sized import Sized
from gateway.model import (
    Decoded,
    Device,
    Frame,
    Ignored,
    Malformed,
    Reading,
    Reason,
    Value,
    Verdict,
)

_MARKER: Final = b"BM"
_HEADER: Final = 4
_LENGTHS: Final = range(4, 62, 2)
"""What the length of a frame may be: room for models to come."""

_MASS: Final = ("pm1_cf1", "pm25_cf1", "pm10_cf1", "pm1", "pm25", "pm10")
_COUNTS: Final = tuple(
    f"number_concentration_{size}" for size in ("0_3", "0_5", "1", "2_5", "5", "10")
)
_CLIMATE: Final = ("temperature", "humidity")

_MODELS: Final[Mapping[str, tuple[str, ...]]] = {
    "pms5003": (*_MASS, *_COUNTS),
    "pms5003s": (*_MASS, *_COUNTS, "formaldehyde"),
    "pms5003t": (*_MASS, *_COUNTS[:4], *_CLIMATE),
}
"""Words by model, where the length does not tell."""

_DIVISORS: Final = dict.fromkeys(_COUNTS, 100) | dict.fromkeys(_CLIMATE, 10)


class PmsDecoder:
    """`model` matters for frames of length 28 only."""

    def __init__(self, *, model: str = "pms5003") -> None:
        if not isinstance(model, str) or model not in _MODELS:
            names = ", ".join(f'"{name}"' for name in _MODELS)
            raise ConfigError(
                [f"model: allowed: {names}; all others are the first, or told by their frames"]
            )
        self._words = {
            20: _MASS,
            28: _MODELS[model],
            36: (*_MASS, *_COUNTS, "formaldehyde", *_CLIMATE),
        }

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data
        if not _is_valid(data):
            return Malformed(Reason.CHECKSUM, data)
        names = self._words.get(len(data) - _HEADER)
        if names is None:
            return Ignored(Reason.UNSUPPORTED)
        words = struct.unpack_from(f">{len(names)}H", data, _HEADER)
        values = {name: _value(name, word) for name, word in zip(names, words, strict=True)}
        return Decoded([Reading(values, measurement="air_quality")])


def _value(name: str, word: int) -> Value:
    if name == "temperature" and word > 0x7FFF:  # noqa: PLR2004 -- the sign bit
        word -= 0x10000
    divisor = _DIVISORS.get(name)
    return word / divisor if divisor else word


def _size(header: bytes) -> int | None:
    """The whole frame's size."""
    length = int.from_bytes(header[2:], "big")
    return _HEADER + length if length in _LENGTHS else None


def _is_valid(data: bytes) -> bool:
    return (
        len(data) > _HEADER
        and data.startswith(_MARKER)
        and len(data) == _size(data[:_HEADER])
        and sum16(data[:-2]) == int.from_bytes(data[-2:], "big")
    )


def _framer() -> Sized:
    return Sized(_MARKER, _HEADER, _size, size_max=64, valid=_is_valid)


DEVICE = Device(
    name="pms",
    summary="particle sensors of Plantower: PMS5003, 7003, A003 and relatives",
    decoder=PmsDecoder,
    framer=_framer,
    options=frozenset({"model"}),
    baudrates=(9_600,),
)
