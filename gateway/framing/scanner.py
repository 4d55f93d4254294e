"""What framers of marked streams have in common: a buffer that is read from its front.

A framer says what stands at the front of the buffer: a frame, bytes that belong to none, or nothing
yet (`Scanner.step`). Here every byte is counted once, runs of noise are joined, and what waits is
bounded: where no frame has come together within `size_max` bytes, or the stream has ended, the
first byte cannot begin one, is noise, and the rest is looked at again.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from gateway.ledger import EXAMPLE_BYTES
from gateway.model import Framed, Noise, Reason


class Scanner(ABC):
    """Base of `Framer`s."""

    def __init__(self, size_max: int) -> None:
        """Keep at most `size_max` bytes of what may be a frame: more than the longest one."""
        self._size_max = size_max
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> Sequence[Framed | Noise]:
        self._buffer += data
        return self._scan(ended=False)

    def close(self) -> Sequence[Framed | Noise]:
        out = self._scan(ended=True)
        self.restart()
        return out

    @abstractmethod
    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        """What the buffer, which is not empty, begins with; its `size` is taken off.

        None: more bytes will tell. `ended`: there will be no more.
        """

    def restart(self) -> None:
        """Forget the stream that ended."""
        self._buffer.clear()

    def _scan(self, *, ended: bool) -> list[Framed | Noise]:
        out: list[Framed | Noise] = []
        buffer = self._buffer
        while buffer:
            item = self.step(buffer, ended=ended)
            if item is None:
                if not ended and len(buffer) <= self._size_max:
                    break
                reason = Reason.INTERRUPTED if ended else Reason.OVERSIZE
                item = noise(buffer, 1, reason)
            if isinstance(item, Noise):
                _add_noise(out, item)
            else:
                out.append(item)
            del buffer[: item.size]
        return out


def noise(buffer: bytearray, size: int, reason: Reason = Reason.GARBAGE) -> Noise:
    """The first `size` bytes of the buffer as noise."""
    return Noise(bytes(buffer[: min(size, EXAMPLE_BYTES)]), size, reason)


def before_marker(buffer: bytearray, marker: bytes, begin: int = 0, *, ended: bool) -> Noise | None:
    """What precedes the next marker from `begin` on; what may be the beginning of one is kept."""
    at = buffer.find(marker, begin)
    if at < 0:
        at = len(buffer) if ended else max(len(buffer) - len(marker) + 1, begin)
    return noise(buffer, at) if at else None


def _add_noise(out: list[Framed | Noise], item: Noise) -> None:
    """Add noise, joined with that before it where the reason is the same."""
    last = out[-1] if out else None
    if isinstance(last, Noise) and last.reason is item.reason:
        example = (last.data + item.data)[:EXAMPLE_BYTES]
        out[-1] = Noise(example, last.size + item.size, item.reason)
    else:
        out.append(item)
