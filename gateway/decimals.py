"""Numbers as their devices meant them: decimal fractions that went through a shorter format.

A float32 is read into a double, whose further digits nobody measured: 230.2 becomes
230.1999969482422. The shortest decimal that is the same float32 is what the device would print.
"""

import math
import struct
from typing import Final

_FLOAT32: Final = struct.Struct("f")
_DIGITS: Final = range(6, 10)
"""6 survive in every float32, 9 tell any two apart."""


def from_float32(number: float) -> float:
    """The shortest decimal that is the same float32 as this number, which is one."""
    if not math.isfinite(number):
        return number
    raw = _FLOAT32.pack(number)
    rounded = (float(f"{number:.{digits}g}") for digits in _DIGITS)
    return next((short for short in rounded if _packs_to(short, raw)), number)


def _packs_to(number: float, raw: bytes) -> bool:
    try:
        return _FLOAT32.pack(number) == raw
    except OverflowError:  # the greatest of all, rounded up
        return False
