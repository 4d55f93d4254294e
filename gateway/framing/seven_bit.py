"""Text of seven bits and even parity (7E1) on a line that is read as 8N1.

The parity bit then arrives as bit 7. It is taken off here, byte by byte: a byte with bit 7 set and
even parity is a character with its parity bit. One with bit 7 set and odd parity is damaged and
left as it is, so that the decoder, which knows ASCII only, refuses it. Lines that are 8N1 or whose
driver checks parity itself have no bit 7 set, and nothing changes.
"""

from collections.abc import Sequence
from typing import Final

from gateway.model import Framed, Framer, Noise

SEVEN_BITS: Final = bytes(
    byte & 0x7F if byte.bit_count() % 2 == 0 else byte for byte in range(0x100)
)
"""What `translate` makes of each byte."""


class SevenBit:
    """A `Framer` for text, in front of which parity bits are taken off."""

    def __init__(self, framer: Framer) -> None:
        self._framer = framer

    @property
    def buffered(self) -> int:
        return self._framer.buffered

    def feed(self, data: bytes) -> Sequence[Framed | Noise]:
        return self._framer.feed(data.translate(SEVEN_BITS))

    def close(self) -> Sequence[Framed | Noise]:
        return self._framer.close()
