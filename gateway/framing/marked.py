r"""Frames between a start and an end that occur nowhere else: `$...\n`, `/...!`, STX...ETX.

What stands before a start is noise. A second start before the end begins the frame anew: the end of
the first one was lost, and its bytes are noise (`INTERRUPTED`). Start and end are part of a frame.

An end may have bytes behind it that can be anything, such as a checksum. Where they are lost, the
next frame's start stands in their place: so the checksum is looked at here too, and from a damaged
frame only the bytes up to that start are taken, for the decoder to refuse.
"""

import re
from collections.abc import Callable

from gateway.framing.scanner import Scanner, noise
from gateway.model import Framed, Noise, Reason


class Marked(Scanner):
    """`Framer` for frames between two patterns.

    Both are bounded: `start_max` and `end_max` are the lengths of their longest matches. They must
    be fit for a search (linear time), and `end` must not match what more bytes might change. `last`
    ends a frame as well, where the stream has ended: an end without its line's.
    """

    def __init__(
        self,
        start: re.Pattern[bytes],
        end: re.Pattern[bytes],
        *,
        size_max: int,
        start_max: int = 1,
        end_max: int = 1,
        last: re.Pattern[bytes] | None = None,
        valid: Callable[[bytes], bool] | None = None,
    ) -> None:
        super().__init__(size_max)
        self._start = start
        self._end = end
        self._start_max = start_max
        self._end_max = end_max
        self._last = last
        self._valid = valid
        self._searched = 0
        """No end begins within so many bytes of the frame at the front."""

    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        start = self._start.match(buffer) or self._start.search(buffer)
        if start is None or start.start():
            self._searched = 0
        if start is None:
            kept = 0 if ended else self._start_max - 1
            return noise(buffer, len(buffer) - kept) if len(buffer) > kept else None
        if start.start():
            return noise(buffer, start.start())
        end = self._end.search(buffer, max(start.end(), self._searched))
        if end is None and ended and self._last is not None:
            end = self._last.search(buffer, start.end())
        again = self._last_start(buffer, start.end(), end.start() if end else len(buffer))
        if again:
            self._searched = 0
            return noise(buffer, again, Reason.INTERRUPTED)
        if end is None:
            self._searched = len(buffer) - self._end_max + 1
            return None
        size = self._size(buffer, start.end(), end.end(), ended=ended)
        if size is None:
            return None
        self._searched = 0
        return Framed(bytes(buffer[:size]), size)

    def restart(self) -> None:
        super().restart()
        self._searched = 0

    def _size(self, buffer: bytearray, begin: int, end: int, *, ended: bool) -> int | None:
        """The end, or where the next start takes the place of what is behind it."""
        if self._valid is None or self._valid(bytes(buffer[:end])):
            return end
        if not ended and len(buffer) < end + self._start_max - 1:
            return None  # it may have begun
        found = self._start.search(buffer, begin)
        return found.start() if found is not None and found.start() < end else end

    def _last_start(self, buffer: bytearray, begin: int, end: int) -> int:
        """Where the last start within the frame at the front is, or 0."""
        begin = max(begin, self._searched - self._start_max)
        found = 0
        for match in self._start.finditer(buffer, begin, end):
            found = match.start()
        return found
