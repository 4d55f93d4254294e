"""Which messages of an MQTT session were taken already, for recognizing those that come again.

A broker sends a message again, marked as a duplicate, until it has read our acknowledgement; one
that it had not read when the connection broke is lost. So what comes again may have been
acknowledged long ago, as long as the broker was busy sending: mosquitto, back from a backlog, sends
tens of thousands of messages before it reads anything.

Packet identifiers run from 1 to 65,535 and are then used again. Half of that is remembered, as with
serial numbers (RFC 1982): however a broker wraps, an identifier found here is that of the same
message, unless more than the other half never reached us. The digest of topic and payload tells
apart what is left.

Limit: REMEMBERED messages, in 1 MiB.
"""

from array import array
from collections.abc import Iterable
from typing import Final

REMEMBERED: Final = 32_768
_IDENTIFIERS: Final = 65_536


class Ring:
    """The last messages of one session."""

    def __init__(self, pairs: Iterable[tuple[int, bytes]] = ()) -> None:
        """`pairs` are identifiers and digests of 8 bytes, the latest last."""
        self.clear()
        for identifier, digest in pairs:
            self.add(identifier, digest)

    def clear(self) -> None:
        """The broker lost the session: its identifiers mean nothing any more."""
        self._digests = array("Q", bytes(8 * _IDENTIFIERS))
        self._taken_at = array("Q", bytes(8 * _IDENTIFIERS))
        """The number of the message that had the identifier last, counted from 1."""
        self._count = 0

    def add(self, identifier: int, digest: bytes) -> None:
        """Remember a message that is taken."""
        self._count += 1
        self._digests[identifier] = int.from_bytes(digest, "big")
        self._taken_at[identifier] = self._count

    def knows(self, identifier: int, digest: bytes) -> bool:
        """Whether that very message is among the last ones."""
        taken_at = self._taken_at[identifier]
        is_recent = taken_at > 0 and self._count - taken_at < REMEMBERED
        return is_recent and self._digests[identifier] == int.from_bytes(digest, "big")
