"""Sensors that are asked for the same thing again and again: what their decoders have in common.

The instants stand on a grid that begins when the line is opened, however long the answers take. An
answer that did not come is not asked for sooner than at the next of them; instants that passed
meanwhile are left out.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.asking import Poll, Request
from gateway.durations import seconds
from gateway.errors import ConfigError

INTERVAL_LEAST: Final = "1s"
INTERVAL_MOST: Final = "1h"

FAILURES_MAX: Final = 3
"""So many requests in a row without an answer are a problem; one or two are a noisy line."""

_WORDS: Final[Mapping[Poll, str]] = {
    Poll.TIMEOUT: "no answer to the last {} requests",
    Poll.INVALID: "no answer that can be read to the last {} requests",
    Poll.EXCEPTION: "the device refused the last {} requests",
}


class Periodic(ABC):
    """Base of an `Asker`, all of it but `request` and `decode`, which has to call `settle`."""

    def __init__(self, interval: object) -> None:
        """Ask every `interval`, such as "10s"; raises ConfigError where it is none."""
        try:
            self._interval_s = seconds(interval, INTERVAL_LEAST, INTERVAL_MOST)
        except ValueError as error:
            raise ConfigError([f"interval: {error}"]) from None
        self._due_s = 0.0
        self._poll: Poll | None = None
        self._failures = 0
        self._problem = ""

    @abstractmethod
    def request(self) -> Request:
        """What to ask now."""

    def settle(self, poll: Poll) -> None:
        """The device has answered, asked or not, or has not."""
        self._poll = poll
        self._failures = 0 if poll is Poll.ANSWERED else self._failures + 1
        failed = self._failures >= FAILURES_MAX
        self._problem = _WORDS[poll].format(self._failures) if failed else ""

    def begin(self, now_s: float) -> None:
        self._due_s = now_s

    def ask(self, now_s: float) -> Request | float:
        if now_s < self._due_s:
            return self._due_s
        passed = (now_s - self._due_s) // self._interval_s
        self._due_s += (passed + 1) * self._interval_s
        self._poll = None
        return self.request()

    def outcome(self) -> Poll | None:
        return self._poll

    def give_up(self, now_s: float, poll: Poll) -> None:  # noqa: ARG002 -- Asker's
        self.settle(poll)

    def problems(self) -> Sequence[str]:
        return (self._problem,) if self._problem else ()
