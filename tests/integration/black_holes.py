"""Neighbours that never answer: sockets that take connections or not even that, and a dead DNS."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

HOST = "127.0.0.1"
DEAD_NAME = "dead.dns.test"

DEAD_DNS = f"""
import socket, time
look_up = socket.getaddrinfo
def getaddrinfo(host, *arguments, **options):
    if host in ({DEAD_NAME!r}, {DEAD_NAME.encode()!r}):
        time.sleep(60)
    return look_up(host, *arguments, **options)
socket.getaddrinfo = getaddrinfo
from gateway.cli import main
main()
"""


def gateway_with_dead_dns() -> Sequence[str]:
    """The gateway on a machine whose resolver hangs for a minute on DEAD_NAME."""
    return ("-c", DEAD_DNS)


@contextmanager
def silent_listener() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server((HOST, 0), backlog=100) as server:
        yield f"{HOST}:{server.getsockname()[1]}"


@contextmanager
def full_backlog() -> Iterator[str]:
    """An address that doesn't even take connections: packets to it are dropped."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        address = server.getsockname()
        for _ in range(10):
            client = stack.enter_context(socket.socket())
            client.settimeout(0.2)
            try:
                client.connect(address)
            except TimeoutError:
                break
        else:
            raise AssertionError("the backlog never fills")
        yield f"{HOST}:{address[1]}"
