r"""A byte stream as lines of text, `Lines`, or as whatever ends in a delimiter, `Delimited`.

A line ends with `\n`; carriage returns and blanks around it are part of its delimiter, and so are
blank lines: their bytes count with the line that follows. (A lone `\r` ends nothing: it would make
two lines of every CRLF that a read has cut in half.)

What is noise: a line that is no text (`NOT_TEXT`: a wrong baud rate, a loose wire), what is longer
than a line can be, up to and with its delimiter (`OVERSIZE`, handed out piece by piece), blank
lines that nothing follows (`EMPTY`), and what was unfinished at the end (`INTERRUPTED`).

The first line begins anywhere: what precedes its text is noise, the text itself is a frame marked
`first`. A board that resets when its port is opened sends a broken character there, and then,
perhaps, the only CSV header of its life.

Limits: `size_max` bytes of an unfinished line are kept, and as many blank bytes are counted.

`Delimited` knows nothing of what it frames: each frame ends with its delimiter, which is a part of
it. The first one may have lost its beginning and is marked `first`.
"""

from collections.abc import Sequence
from typing import Final

from gateway.framing.scanner import Scanner, noise
from gateway.ledger import EXAMPLE_BYTES
from gateway.model import Framed, Noise, Reason
from gateway.payloads import to_text

LINE_MAX: Final = 4096
"""The longest lines seen are JSON of battery packs, 1 to 2 kB. At 9600 baud, 4 s of babble."""

_PADDING: Final = b"\r "
_PLAIN: Final = bytes(range(0x20, 0x7F)) + b"\t\r\n"


class Lines:
    """`Framer` for lines of text."""

    def __init__(self, size_max: int = LINE_MAX) -> None:
        self._size_max = size_max
        self._unfinished = bytearray()
        self._blank = 0
        """Bytes of blank lines since the last frame."""
        self._skipping = False
        """Within a line that is too long."""
        self._first = True

    @property
    def buffered(self) -> int:
        return len(self._unfinished) + self._blank

    def feed(self, data: bytes) -> Sequence[Framed | Noise]:
        out: list[Framed | Noise] = []
        if b"\n" not in data:
            self._keep(data, out)
            return out
        head, *lines = data.split(b"\n")
        rest = lines.pop()
        self._end(head, out)
        if lines:
            plain = not data.translate(None, _PLAIN)
            for line in lines:
                self._line(line, out, plain=plain)
        if rest:
            self._keep(rest, out)
        return out

    def close(self) -> Sequence[Framed | Noise]:
        noise = []
        if self._blank:
            noise.append(Noise(b"\n", self._blank, Reason.EMPTY))
        if self._unfinished:
            example = bytes(self._unfinished[:EXAMPLE_BYTES])
            noise.append(Noise(example, len(self._unfinished), Reason.INTERRUPTED))
        self._unfinished.clear()
        self._blank = 0
        self._skipping = False
        self._first = True
        return noise

    def _keep(self, data: bytes, out: list[Framed | Noise]) -> None:
        """Take bytes without a delimiter."""
        if not self._skipping and len(self._unfinished) + len(data) <= self._size_max:
            self._unfinished += data
        elif data:
            size = len(self._unfinished) + len(data)
            example = bytes(self._unfinished[:EXAMPLE_BYTES]) or data[:EXAMPLE_BYTES]
            out.append(Noise(example, size, Reason.OVERSIZE))
            self._unfinished.clear()
            self._skipping = True

    def _end(self, data: bytes, out: list[Framed | Noise]) -> None:
        """Take the bytes before the first delimiter of a chunk, and that delimiter."""
        line = bytes(self._unfinished) + data if self._unfinished else data
        self._unfinished.clear()
        if self._skipping:
            out.append(Noise(line[:EXAMPLE_BYTES], len(line) + 1, Reason.OVERSIZE))
        elif self._first and len(line) < self._size_max and to_text(line) is None:
            self._first_line(line, out)
        else:
            self._line(line, out, first=self._first)
        self._skipping = False
        self._first = False

    def _first_line(self, line: bytes, out: list[Framed | Noise]) -> None:
        """Take a first line that is not all text: the text at its end may be whole."""
        starts = (i for i, byte in enumerate(line, 1) if byte not in _PLAIN)
        before = next(start for start in starts if to_text(line[start:]) is not None)
        text = line[before:].strip(_PADDING)
        size = len(line) + 1
        if not text:
            before = size
        out.append(Noise(line[:before][:EXAMPLE_BYTES], before, Reason.NOT_TEXT))
        if text:
            out.append(Framed(text, size - before, first=True))

    def _line(
        self, line: bytes, out: list[Framed | Noise], *, plain: bool = False, first: bool = False
    ) -> None:
        """Take a whole line, without its delimiter; `plain`: known to be text."""
        size = len(line) + 1
        text = line.strip(_PADDING)
        if size > self._size_max:
            out.append(Noise(line[:EXAMPLE_BYTES], size, Reason.OVERSIZE))
        elif not text:
            self._blank_line(size, out)
        elif plain or to_text(text) is not None:
            out.append(Framed(text, size + self._blank, first))
            self._blank = 0
        else:
            out.append(Noise(line[:EXAMPLE_BYTES], size, Reason.NOT_TEXT))

    def _blank_line(self, size: int, out: list[Framed | Noise]) -> None:
        self._blank += size
        if self._blank > self._size_max:
            out.append(Noise(b"\n", self._blank, Reason.EMPTY))
            self._blank = 0


class Delimited(Scanner):
    """`Framer` for frames that end in a delimiter and are no text."""

    def __init__(self, end: bytes, *, size_max: int) -> None:
        super().__init__(size_max)
        self._end = end
        self._searched = 0
        """No delimiter begins within so many bytes."""
        self._skipping = False
        """Within a frame that is too long."""
        self._first = True

    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        at = buffer.find(self._end, self._searched)
        size = at + len(self._end)
        if at < 0:
            self._searched = max(len(buffer) - len(self._end) + 1, 0)
            return None if ended else self._skip(buffer)
        self._searched = 0
        first, self._first = self._first, False
        if self._skipping or size > self._size_max:
            self._skipping = False
            return noise(buffer, size, Reason.OVERSIZE)
        return Framed(bytes(buffer[:size]), size, first)

    def restart(self) -> None:
        super().restart()
        self._searched = 0
        self._skipping = False
        self._first = True

    def _skip(self, buffer: bytearray) -> Noise | None:
        """Give up what cannot be a frame any more, all but what may begin the delimiter."""
        if self._searched == 0 or not (self._skipping or len(buffer) > self._size_max):
            return None
        self._skipping = True
        size, self._searched = self._searched, 0
        return noise(buffer, size, Reason.OVERSIZE)
