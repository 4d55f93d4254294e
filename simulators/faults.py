"""What goes wrong between a device and its reader.

Damage is a pure function of bytes and a generator; outages are a schedule drawn from a generator.
Whether a fault happens is decided by the script, one throw per fault and reading.

Garbage never looks like a reading: it consists of bytes that no number, name or separator is made
of, holds at least one byte that is not UTF-8, and on a serial line ends with a newline, so a reader
can put it aside whole. Drop and flip spare the line's end for the same reason: one reading suffers,
not its neighbour. They may forge another plausible number, because text carries no checksum; the
record calls such readings damaged.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum

GARBAGE = bytes([*range(0x80, 0x100), *b"\x01\x02\x03\x06\x0e\x12\x15\x1b!#$%&~^|\x7f"])
NOT_UTF8 = b"\xff"
SHORT_MAX = 48
BABBLE_MIN, BABBLE_MAX = 256, 2048
PIECES_MAX = 4
BURST_MIN, BURST_MAX = 5, 30

Noise = Callable[[random.Random], bytes]
Damage = Callable[[bytes, random.Random], bytes]


class Fault(StrEnum):
    """Every fault that a scenario can ask for."""

    GARBAGE = "garbage"  # a short run of noise between two readings
    BABBLE = "babble"  # a long one
    SPLIT = "split"  # a line in several writes
    MERGE = "merge"  # two lines in one write
    DROP = "drop"  # bytes missing
    FLIP = "flip"  # a bit inverted
    LATIN1 = "latin1"  # a degree sign that is not UTF-8
    DUPLICATE = "duplicate"  # the same bytes again
    DELAY = "delay"  # later than it should be
    BURST = "burst"  # many readings at once
    SILENCE = "silence"  # no readings for a while
    UNPLUG = "unplug"  # the port disappears and comes back
    BOOT = "boot"  # a start-up message after power on


SERIAL_ONLY = frozenset({Fault.SPLIT, Fault.MERGE, Fault.UNPLUG, Fault.BOOT})


@dataclass(frozen=True, slots=True)
class Outage:
    """Something that happens about every so often and lasts a while; nought means never."""

    every_s: float = 0.0
    lasts_s: float = 0.0

    def after(self, t: float, rng: random.Random) -> float:
        """Return the instant of the next one."""
        return t + self.every_s * rng.uniform(0.5, 1.5) if self.every_s else float("inf")


NEVER = Outage()


@dataclass(frozen=True, slots=True)
class Faults:
    """The share of readings that each fault hits, and the outages."""

    garbage: float = 0.0
    babble: float = 0.0
    split: float = 0.0
    merge: float = 0.0
    drop: float = 0.0
    flip: float = 0.0
    latin1: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    burst: float = 0.0
    silence: Outage = NEVER
    unplug: Outage = NEVER
    boot: bool = False

    def rates(self) -> dict[Fault, float]:
        """Return the share of every fault that can hit a single reading."""
        values = ((Fault(field.name), getattr(self, field.name)) for field in fields(self))
        return {fault: value for fault, value in values if isinstance(value, float) and value > 0.0}


HEALTHY = Faults()


def garbage(rng: random.Random, shortest: int = 1, longest: int = SHORT_MAX) -> bytes:
    """Return noise that no reader can take for a reading; no newline in it."""
    return NOT_UTF8 + bytes(rng.choices(GARBAGE, k=rng.randint(shortest, longest)))


def babble(rng: random.Random) -> bytes:
    """Return a long run of noise."""
    return garbage(rng, BABBLE_MIN, BABBLE_MAX)


def boot(rng: random.Random) -> bytes:
    """Return what a board prints after power on: noise at another rate, then a greeting."""
    return garbage(rng) + b"\r\n\r\nboot: reset cause 1, rev ~" + NOT_UTF8 + b"\r\n"


def body(data: bytes) -> int:
    """Return how many bytes come before the line's end."""
    return len(data.rstrip(b"\r\n"))


def split(data: bytes, rng: random.Random) -> list[bytes]:
    """Return the same bytes in two to four pieces."""
    if len(data) < PIECES_MAX:
        return [data]
    cuts = sorted(rng.sample(range(1, len(data)), rng.randint(1, PIECES_MAX - 1)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def drop(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes without a short run of them; the line's end stays."""
    end = body(data)
    if end == 0:
        return data
    start = rng.randrange(end)
    return data[:start] + data[min(end, start + rng.randint(1, 8)) :]


def flip(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes with one bit inverted; the line's end stays, and no new one appears."""
    end = body(data)
    if end == 0:
        return data
    index = rng.randrange(end)
    bits = [bit for bit in range(8) if data[index] ^ (1 << bit) not in b"\r\n"]
    return data[:index] + bytes([data[index] ^ (1 << rng.choice(bits))]) + data[index + 1 :]


def latin1(data: bytes, _rng: random.Random) -> bytes:
    """Return the bytes with a degree sign in Latin-1 before the line's end."""
    end = body(data)
    return data[:end] + b"\xb0C" + data[end:]


def cut(data: bytes, rng: random.Random) -> bytes:
    """Return the beginning of a line whose end is never sent."""
    end = body(data)
    return data[: rng.randint(1, end)] if end else b""


DAMAGES: dict[Fault, Damage] = {Fault.DROP: drop, Fault.FLIP: flip, Fault.LATIN1: latin1}
