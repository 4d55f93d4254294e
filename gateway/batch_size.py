"""How many bytes to read and send at once: less where the server takes less, then more again.

A size that was too much is halved. After `_patience` deliveries at the present size twice as much
is tried, because proxies get mended and lines get faster. Where that fails, the next attempt waits
for twice as many deliveries, so a limit that stays costs one request in `PATIENCE_MAX`.
"""

PATIENCE_MIN = 4
PATIENCE_MAX = 256


class BatchSize:
    """The present size in bytes, from `least` to `most`."""

    def __init__(self, most: int, least: int) -> None:
        self.bytes = most
        self._most = most
        self._least = min(least, most)
        self._patience = PATIENCE_MIN
        self._deliveries = 0
        self._trying = False
        """Grown, and not yet known whether that was right."""

    @property
    def is_reduced(self) -> bool:
        """Whether the server has shown that it takes less than it should."""
        return self.bytes < self._most

    def fits(self, size: int) -> bool:
        """Whether to send so much at once; with some tolerance, as halves are never equal."""
        return not self.is_reduced or size <= self.bytes + self.bytes // 4

    def too_much(self, size: int) -> None:
        """The server could not take `size` bytes in one request."""
        if self._trying:
            self._patience = min(2 * self._patience, PATIENCE_MAX)
        self._trying = False
        self._deliveries = 0
        self.bytes = min(self.bytes, max(size // 2, self._least))

    def delivered(self, size: int) -> None:
        """The server took `size` bytes in one request."""
        if not self.is_reduced or size < self.bytes // 2:
            return  # says nothing about the limit
        if self._trying and size > self.bytes * 3 // 4:
            self._trying = False
            self._patience = PATIENCE_MIN
        self._deliveries += 1
        if self._deliveries >= self._patience:
            self._deliveries = 0
            self._trying = True
            self.bytes = min(2 * self.bytes, self._most)
