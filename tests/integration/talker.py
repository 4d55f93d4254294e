"""A serial device that says numbered lines without a pause, heard or not."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Talker:
    """Says `{"sequence": N}` every `pause_s` on a pseudo-terminal."""

    def __init__(self, pause_s: float = 0.005) -> None:
        self._pause_s = pause_s
        self._master, slave = os.openpty()
        self.port = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self.said: dict[int, float] = {}
        """When each line was said that went out whole."""
        self._ended = threading.Event()

    @contextmanager
    def talking(self) -> Iterator[None]:
        """It talks during the block, or until `hush`; then it is unplugged."""
        thread = threading.Thread(target=self._talk)
        thread.start()
        try:
            yield
        finally:
            self.hush()
            thread.join()
            os.close(self._master)

    def hush(self) -> None:
        """Say nothing more."""
        self._ended.set()

    def _talk(self) -> None:
        number = 0
        while not self._ended.wait(self._pause_s):
            line = b'{"sequence": %d}\n' % number
            now = time.monotonic()
            try:
                written = os.write(self._master, line)
            except BlockingIOError:
                written = 0  # nobody listens, and the line's buffer is full
            if written == len(line):
                self.said[number] = now
            number += 1
