"""The Unix socket in the data directory, by which commands talk to the running gateway.

Whoever may open it may change things, so only its owner may. A socket that an earlier process left
behind is replaced: the lock of the data directory says that nobody listens there any more.

Limits: the kernel takes paths of SUN_PATH_MAX bytes. A longer one is reached through a descriptor
of its directory, which only Linux can do.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET_FILE = "control.sock"
SUN_PATH_MAX = 103
"""108 bytes with the final zero on Linux, 104 on macOS."""

_ARCHIVE = "readings go to the archive, as the configuration has no [influxdb]"
NO_SPOOL = f"{_ARCHIVE}: there is no spool, and there are no dead letters"
"""What both ends say where there is nothing to ask about."""
SPOOL_AT_REST = f"{_ARCHIVE}: the spool from before can be looked at while no gateway runs"


@contextmanager
def short_path(data_dir: Path) -> Iterator[str]:
    """A path to the socket that the kernel takes, valid within the block."""
    path = data_dir / SOCKET_FILE
    if len(os.fsencode(path)) <= SUN_PATH_MAX:
        yield str(path)
        return
    directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET_FILE}"
    finally:
        os.close(directory)


@contextmanager
def control_socket(data_dir: Path) -> Iterator[socket.socket]:
    """A bound socket, not listening yet. Raises OSError where there cannot be one."""
    path = data_dir / SOCKET_FILE
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        with short_path(data_dir) as short:
            bound.bind(short)
        try:
            path.chmod(0o600)  # before it listens: nobody can have connected
            yield bound
        finally:
            path.unlink(missing_ok=True)
