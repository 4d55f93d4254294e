"""What can go wrong outside the data: one class per party who can mend it.

Bad *data* is never an exception: stages return it with a `Reason`. These are for the world (try
again) and for the operator (change something); anything else is a bug and ends the process.
"""

from collections.abc import Sequence

EXIT_FAILED = 1
EXIT_USAGE = 2


class GatewayError(Exception):
    """Base of the errors below; itself: a command failed. The text is for its user."""

    exit_code = EXIT_FAILED
    """What a command ends with that meets the error."""


class ConfigError(GatewayError):
    """The configuration is wrong: `problems` holds all of them, one sentence each."""

    exit_code = EXIT_USAGE

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class TransportError(GatewayError):
    """A port or a broker is away or refused us: try again later. The text is for the operator."""


class StoreError(GatewayError):
    """The disk refused: nothing of the last call is stored, and calling again may succeed."""


class DiskFullError(StoreError):
    """Likewise, for want of room or for a fault of the disk: it will pass, or be mended."""


class DataDirBusyError(GatewayError):
    """Another gateway holds the data directory."""
