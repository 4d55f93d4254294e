"""Numbers as their devices meant them: decimal fractions that went through another format.

A float32 is read into a double, whose further digits nobody measured: 230.2 becomes
230.1999969482422. The shortest decimal that is the same float32 is what the device would print. An
integer that counts tenths is divided by 10, which is exact where x 0.1 is not.
"""

import math
import struct
from typing import Final

_FLOAT32: Final = struct.Struct("f")
_DIGITS: Final = range(6, 10)
"""6 survive in every float32, 9 tell any two apart."""

_SCALE_LEAST: Final = 1e-12
"""Finer ones are no decimal fractions of anything."""


def from_float32(number: float) -> float:
    """The shortest decimal that is the same float32 as this number, which is one."""
    if not math.isfinite(number):
        return number
    raw = _FLOAT32.pack(number)
    shorter = (float(f"{number:.{digits}g}") for digits in _DIGITS)
    return next(short for short in shorter if _FLOAT32.pack(short) == raw)


def scaled(number: float, scale: float, offset: float) -> float:
    """Number x scale + offset."""
    divisor = round(1 / scale) if _SCALE_LEAST <= abs(scale) < 1 else 0
    if divisor and math.isclose(divisor * scale, 1, rel_tol=1e-12):
        return (number + offset * divisor) / divisor
    return number * scale + offset
