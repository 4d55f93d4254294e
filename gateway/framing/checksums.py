"""Checksums of serial protocols, each with its published check value for `123456789`.

CRCs are described by the Rocksoft model and named as in the CRC catalogue of Greg Cook
(https://reveng.sourceforge.io/crc-catalogue/), from which the check values are. What the standard
library computes in C is left to it: CRC-32 and CRC-16/XMODEM (`binascii.crc_hqx`); the reflected
forms of the latter's polynomial are made of it by mirroring the bits of every byte. The others go
through a table, about 50 ns per byte.
"""

import zlib
from binascii import crc_hqx
from collections.abc import Callable, Mapping
from functools import reduce
from operator import xor
from types import MappingProxyType
from typing import Final, NamedTuple

Checksum = Callable[[bytes], int]


def sum8(data: bytes) -> int:
    """The sum of the bytes, modulo 256."""
    return sum(data) & 0xFF


def sum16(data: bytes) -> int:
    """The sum of the bytes, modulo 65,536."""
    return sum(data) & 0xFFFF


def negative_sum8(data: bytes) -> int:
    """What makes the sum of all bytes 0 modulo 256."""
    return -sum(data) & 0xFF


def inverted_sum8(data: bytes) -> int:
    """The complement of `sum8`."""
    return ~sum(data) & 0xFF


def xor8(data: bytes) -> int:
    """The exclusive or of the bytes."""
    return reduce(xor, data, 0)


def crc32(data: bytes) -> int:
    """CRC-32/ISO-HDLC."""
    return zlib.crc32(data)


def crc16_xmodem(data: bytes) -> int:
    """CRC-16/XMODEM: polynomial 1021, initially 0."""
    return crc_hqx(data, 0)


def crc16_ccitt_false(data: bytes) -> int:
    """CRC-16/IBM-3740, often called CCITT-FALSE: polynomial 1021, initially FFFF."""
    return crc_hqx(data, 0xFFFF)


def crc16_kermit(data: bytes) -> int:
    """CRC-16/KERMIT: polynomial 1021 reflected, initially 0."""
    return _mirror16(crc_hqx(data.translate(_MIRRORED), 0))


def crc16_x25(data: bytes) -> int:
    """CRC-16/IBM-SDLC, also X.25: polynomial 1021 reflected, initially FFFF, inverted after."""
    return _mirror16(crc_hqx(data.translate(_MIRRORED), 0xFFFF)) ^ 0xFFFF


def crc16_arc(data: bytes) -> int:
    """CRC-16/ARC: polynomial 8005 reflected, initially 0."""
    return _reflected(data, _TABLE_A001, 0)


def crc16_modbus(data: bytes) -> int:
    """CRC-16/MODBUS: polynomial 8005 reflected, initially FFFF."""
    return _reflected(data, _TABLE_A001, 0xFFFF)


def crc8(data: bytes) -> int:
    """CRC-8/SMBUS: polynomial 07, initially 0."""
    return _direct8(data, _TABLE_07, 0)


def crc8_nrsc5(data: bytes) -> int:
    """CRC-8/NRSC-5: polynomial 31, initially FF; Sensirion's."""
    return _direct8(data, _TABLE_31, 0xFF)


def crc8_maxim(data: bytes) -> int:
    """CRC-8/MAXIM-DOW: polynomial 31 reflected, initially 0; that of 1-Wire."""
    return _reflected(data, _TABLE_8C, 0)


class Kind(NamedTuple):
    """One way to make a checksum."""

    compute: Checksum
    size: int
    """Bytes that it takes in a frame."""
    check: int
    """Its value for `123456789`."""


def _mirrored(value: int, bits: int) -> int:
    return int(f"{value:0{bits}b}"[::-1], 2)


_MIRRORED: Final = bytes(_mirrored(byte, 8) for byte in range(0x100))


def _mirror16(value: int) -> int:
    return _MIRRORED[value & 0xFF] << 8 | _MIRRORED[value >> 8]


def _reflected_table(polynomial: int) -> tuple[int, ...]:
    """The table for a polynomial whose bits are reversed."""

    def step(value: int, _bit: int) -> int:
        return value >> 1 ^ polynomial if value & 1 else value >> 1

    return tuple(reduce(step, range(8), byte) for byte in range(0x100))


def _reflected(data: bytes, table: tuple[int, ...], value: int) -> int:
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value


def _direct8_table(polynomial: int) -> tuple[int, ...]:
    def step(value: int, _bit: int) -> int:
        return (value << 1 ^ polynomial if value & 0x80 else value << 1) & 0xFF

    return tuple(reduce(step, range(8), byte) for byte in range(0x100))


def _direct8(data: bytes, table: tuple[int, ...], value: int) -> int:
    for byte in data:
        value = table[value ^ byte]
    return value


_TABLE_A001: Final = _reflected_table(0xA001)
_TABLE_8C: Final = _reflected_table(0x8C)
_TABLE_07: Final = _direct8_table(0x07)
_TABLE_31: Final = _direct8_table(0x31)

CHECKSUMS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "sum8": Kind(sum8, 1, 0xDD),
        "sum16": Kind(sum16, 2, 0x01DD),
        "negative_sum8": Kind(negative_sum8, 1, 0x23),
        "inverted_sum8": Kind(inverted_sum8, 1, 0x22),
        "xor8": Kind(xor8, 1, 0x31),
        "crc8": Kind(crc8, 1, 0xF4),
        "crc8_nrsc5": Kind(crc8_nrsc5, 1, 0xF7),
        "crc8_maxim": Kind(crc8_maxim, 1, 0xA1),
        "crc16_arc": Kind(crc16_arc, 2, 0xBB3D),
        "crc16_modbus": Kind(crc16_modbus, 2, 0x4B37),
        "crc16_ccitt_false": Kind(crc16_ccitt_false, 2, 0x29B1),
        "crc16_xmodem": Kind(crc16_xmodem, 2, 0x31C3),
        "crc16_kermit": Kind(crc16_kermit, 2, 0x2189),
        "crc16_x25": Kind(crc16_x25, 2, 0x906E),
        "crc32": Kind(crc32, 4, 0xCBF43926),
    }
)
"""Every kind by the name that the configuration uses."""
