"""Free ports for servers under test.

A port that was only looked up may be taken before its server starts, or while that is down between
two runs: by a test in another process, or by the kernel for somebody's outgoing connection. So it
stays bound until this process ends. Servers set SO_REUSEADDR and may listen on it all the same;
while none does, connections are refused. Linux has it so; elsewhere the port is let go.
"""

import socket
import sys
from typing import Final

_HELD: Final[list[socket.socket]] = []


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, and that nobody else gets."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    port: int = holder.getsockname()[1]
    if sys.platform == "linux":
        _HELD.append(holder)
    else:
        holder.close()
    return port
