"""The gateway's own standard input as a byte stream: `program | sensor-gateway run`, or a file.

Its end is final: each later `run` says so again, and reads nothing. What is there is read also
faster than it can be stored; what is too much is shed and counted, as on a serial port. Whoever is
at the other end cannot be written to.
"""

import sys
from typing import NoReturn

from gateway.errors import TransportError
from gateway.transports.descriptor import DescriptorReader
from gateway.transports.receiver import Opened, Receive, Receiver

ENDED = "standard input ended"


class StdinTransport:
    """Standard input; there is one."""

    def __init__(self, silence_timeout_s: float | None = None, fd: int = 0) -> None:
        self._silence_timeout_s = silence_timeout_s
        self._fd = fd
        self._has_ended = False

    async def run(self, opened: Opened, receive: Receive) -> NoReturn:
        """Hand every chunk to `receive` until the end. Raises TransportError, or what it raised."""
        if sys.__stdin__ is None:  # what has its number now is something else
            raise TransportError("standard input is closed")
        if self._has_ended:
            raise TransportError(ENDED)
        receiver = Receiver("standard input", receive)

        def ended() -> None:
            self._has_ended = True
            receiver.end_with(TransportError(ENDED))

        reader = DescriptorReader(self._fd, receiver.data_received, ended)
        reader.start()
        try:
            opened(_unheard)
            raise await receiver.end(self._silence_timeout_s)
        finally:
            reader.stop()

    async def is_held_by(self, _process: int) -> bool:
        """Every process has its own."""
        return False

    async def probe(self) -> str:
        """What to tell about it."""
        return "standard input is read while the gateway runs"


def _unheard(_data: bytes) -> None:
    """Nobody is there to hear it."""
