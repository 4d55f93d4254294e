"""Frames that say how long they are, or are all of one length, after a marker.

A marker may also stand within a frame, or in noise by chance. So where a frame has a checksum it
is looked at here too: from a frame that is damaged only the bytes up to the next marker are taken,
because the rest may be a frame of its own. These bytes are handed out as a frame all the same, so
that the decoder refuses it and it is counted.

Where there is no marker every byte may begin a frame, and the checksum alone decides: what is not
undamaged there is noise, a byte at a time.
"""

from collections.abc import Callable

from gateway.framing.scanner import Scanner, noise
from gateway.model import Framed, Noise


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

    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        marker = self._marker
        if not buffer.startswith(marker):
            return self._to_next_marker(buffer, 0, ended=ended)
        if len(buffer) < self._header:
            return None
        size = self._length(bytes(buffer[: self._header]))
        if size is None or size > self._size_max:
            return self._to_next_marker(buffer, 1, ended=ended)
        if len(buffer) < size:
            return None
        data = bytes(buffer[:size])
        if self._valid is not None and not self._valid(data):
            if not marker:
                return noise(buffer, 1)
            data = data[: self._next_marker(buffer, size)]
        return Framed(data, len(data))

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

    def _to_next_marker(self, buffer: bytearray, begin: int, *, ended: bool) -> Noise | None:
        """What precedes the next marker, or what may be the beginning of one."""
        at = buffer.find(self._marker, begin)
        if at < 0:
            at = len(buffer) if ended else max(len(buffer) - len(self._marker) + 1, begin)
        return noise(buffer, at) if at else None
