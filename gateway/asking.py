"""Decoders of devices that speak only when asked: what they add to the pipeline's vocabulary.

A request, its schedule and its answer are the decoder's, as pure as decoding: bytes out, bytes in,
and the time as an argument. `gateway.polling` brings them to the line.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from gateway.model import Decoder

Write = Callable[[bytes], None]
"""Bytes for the line; returns at once."""


class Request(NamedTuple):
    """Bytes to write, and what to wait for."""

    data: bytes
    answer_size: int = 0
    """Bytes of the longest answer, so that a slow line gets the time for them; 0: no answer."""
    timeout_s: float = 1.0
    """How long the device may think, beside the time that the bytes take on the line."""


class Poll(StrEnum):
    """What became of a request; the flow says TIMEOUT and INVALID, the decoder the others."""

    ANSWERED = "answered"
    EXCEPTION = "exception"
    """The device says that it cannot."""
    TIMEOUT = "timeout"
    """Silence."""
    INVALID = "invalid"
    """Something else than an answer came."""


@runtime_checkable
class Asker(Decoder, Protocol):
    """A decoder of devices that speak when asked: it says what to ask and when, and does no I/O.

    At most one request is under way. Times are seconds of one monotonic clock.
    """

    def begin(self, now_s: float) -> None:
        """The line was opened: nothing that was asked before will be answered."""

    def ask(self, now_s: float) -> Request | float:
        """The next request where one is due by now, else the time to call again."""

    def outcome(self) -> Poll | None:
        """What the frames decoded since the last request make of it; None: no answer yet."""

    def give_up(self, now_s: float, poll: Poll) -> None:
        """No answer came in time: `poll` is TIMEOUT or INVALID."""

    def problems(self) -> Sequence[str]:
        """Devices that do not answer, in words for the operator."""
