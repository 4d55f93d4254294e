"""What the bits of a register mean."""

import math
import struct
from typing import Any

import pytest

from gateway.protocols.modbus.registers import Register


def value(data: str, **more: Any) -> float:  # noqa: ANN401 -- whatever a register has
    return Register("x", 0, **more).value(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("kind", "data", "number"),
    [
        ("uint16", "FFFE", 65534),
        ("int16", "FFFE", -2),
        ("uint32", "FFFFFFFE", 4_294_967_294),
        ("int32", "FFFFFFFE", -2),
        ("uint64", "FFFFFFFFFFFFFFFE", 2.0**64),
        ("int64", "FFFFFFFFFFFFFFFE", -2),
        ("float32", "43663333", 230.2),
        ("float32", "80000000", -0.0),
        ("float32", "7F7FFFFF", 3.4028235e38),
        ("float32", "00000001", 1.4013e-45),
        ("float64", "406CC66666666666", 230.2),
        ("bool", "0001", True),
        ("bool", "FFFE", False),
    ],
)
def test_types(kind: str, data: str, number: float) -> None:
    assert value(data, type=kind) == number


@pytest.mark.parametrize(
    ("words", "bytes_", "data"),
    [
        ("big", "big", "43663333"),
        ("little", "big", "33334366"),
        ("big", "little", "66433333"),
        ("little", "little", "33336643"),
    ],
)
def test_orders(words: str, bytes_: str, data: str) -> None:
    assert value(data, type="float32", word_order=words, byte_order=bytes_) == 230.2


def test_orders_of_long_and_short_values() -> None:
    assert value("0004000300020001", type="uint64", word_order="little") == 0x1000200030004
    assert value("0201", byte_order="little") == 0x0102


@pytest.mark.parametrize("number", [0.1, 230.2, 1e-3, 1234.567, 16777216.0, 0.33333334, 3e38])
def test_a_float32_is_its_shortest_decimal(number: float) -> None:
    (exact,) = struct.unpack(">f", struct.pack(">f", number))
    found = value(struct.pack(">f", number).hex(), type="float32")
    assert struct.pack(">f", found) == struct.pack(">f", exact)
    assert len(repr(found)) <= len(repr(exact))


@pytest.mark.parametrize(
    ("raw", "scale", "offset", "number"),
    [
        (2302, 0.1, 0.0, 230.2),
        (1303, 0.01, 0.0, 13.03),
        (653, 0.1, -40.0, 25.3),
        (7, 10.0, 0.5, 70.5),
        (10, -0.1, 0.0, -1.0),
        (10, 0.3, 0.0, 3.0),
    ],
)
def test_scale_and_offset(raw: int, scale: float, offset: float, number: float) -> None:
    """Decimal fractions are exact."""
    assert value(f"{raw:04X}", type="int16", scale=scale, offset=offset) == number


@pytest.mark.parametrize(
    ("kind", "data", "invalid", "is_valid"),
    [
        ("uint16", "FFFF", 0xFFFF, False),
        ("int16", "8000", 0x8000, False),
        ("int16", "8000", -0x8000, False),
        ("int16", "7FFF", 0x7FFF, False),
        ("int16", "8001", 0x8000, True),
        ("int32", "80000000", 0x80000000, False),
        ("uint32", "0000FFFF", 0xFFFFFFFF, True),
        ("float32", "7FC00000", 0xFFFF, False),
        ("float32", "FF7FFFFF", 0xFF7FFFFF, False),
    ],
)
def test_what_stands_for_no_value_is_none(
    kind: str, data: str, invalid: int, *, is_valid: bool
) -> None:
    assert math.isnan(value(data, type=kind, invalid=(invalid,), scale=0.1)) is not is_valid


def test_a_bit_of_a_register() -> None:
    bits = [value("8002", type="bool", bit=bit) for bit in range(16)]
    assert [bit for bit, is_set in enumerate(bits) if is_set] == [1, 15]
