"""Frames that say how long they are, or are all of one length, after a marker.

A marker may also stand within a frame, or in noise by chance. So where a frame has a checksum it
is looked at here too: from a frame that is damaged only the bytes up to the next marker are taken,
because the rest may be a frame of its own. These bytes are handed out as a frame all the same, so
that the decoder refuses it and it is counted.

Where there is no marker every byte may begin a frame, and the checksum alone decides: what is not
undamaged there is noise, a byte at a time.

Limit: long frames and a stream that looks like nothing but beginnings of them would cost a checksum
of thousands of bytes for each byte. So beyond CHECKED_AHEAD, no more than CHECKED_PER_BYTE are
looked at for each byte that is handed out; where it would be more, the whole damaged frame is given
up, and with it what it may hide.
"""

from collections.abc import Callable
from typing import Final

from gateway.framing.scanner import Scanner, before_marker, noise
from gateway.model import Framed, Noise

CHECKED_PER_BYTE: Final = 64
"""At 50 ns, the price of the dearest checksums, 3 us."""

CHECKED_AHEAD: Final = 1 << 18
"""13 ms: enough to try each byte of a frame of 500."""


class Sized(Scanner):
    """`Framer` for a marker and a length.

    Args:
        marker: what each frame begins with; without one `valid` is needed.
        header: bytes that `length` needs to see, the marker's included.
        length: the frame's whole length by its header, or None where that cannot be one.
        size_max: the longest frame.
        valid: whether a whole frame is undamaged; None where nothing tells.
    """

    def __init__(
        self,
        marker: bytes,
        header: int,
        length: Callable[[bytes], int | None],
        *,
        size_max: int,
        valid: Callable[[bytes], bool] | None = None,
    ) -> None:
        super().__init__(size_max)
        self._marker = marker
        self._header = header
        self._length = length
        self._valid = valid
        self._checked = 0
        """Bytes looked at in damaged frames, beyond what those handed out allow."""

    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        marker = self._marker
        if not buffer.startswith(marker):
            return before_marker(buffer, marker, ended=ended)
        if len(buffer) < self._header:
            return None
        size = self._length(bytes(buffer[: self._header]))
        if size is None or size > self._size_max:
            return before_marker(buffer, marker, 1, ended=ended)
        if len(buffer) < size:
            return None
        data = bytes(buffer[:size])
        if self._valid is not None and not self._valid(data):
            return self._damaged(buffer, data)
        self._checked = 0
        return Framed(data, len(data))

    def restart(self) -> None:
        super().restart()
        self._checked = 0

    def _damaged(self, buffer: bytearray, data: bytes) -> Framed | Noise:
        """What of a damaged frame, the first bytes of the buffer, cannot belong to another one."""
        size = self._next_marker(buffer, len(data)) if self._marker else 1
        checked = self._checked + len(data) - size * CHECKED_PER_BYTE
        if checked > CHECKED_AHEAD:
            checked, size = 0, len(data)
        self._checked = max(checked, 0)
        return Framed(data[:size], size) if self._marker else noise(buffer, size)

    def _next_marker(self, buffer: bytearray, size: int) -> int:
        """Where the next marker begins within the first `size` bytes, else `size`.

        Of one that begins there the end may stand behind them, or be still to come.
        """
        marker = self._marker
        at = buffer.find(marker, 1, size + len(marker) - 1)
        if at > 0:
            return at
        for begin in range(max(len(buffer) - len(marker) + 1, 1), size):
            if marker.startswith(buffer[begin:]):
                return begin
        return size
