"""A TCP or TLS connection in bounded time, or words for why there is none.

Cancelled or out of time, nothing is left behind but, at worst, one look-up of the host's name:
`getaddrinfo` can hang for minutes and cannot be interrupted. It runs in a daemon thread, so that it
holds up neither the event loop's threads nor the end of the process; as long as it is under way,
the next attempt waits for the same one instead of starting another.
"""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from gateway.errors import TransportError

TLS_GOODBYE_S = 2.0
"""How long a closed TLS connection waits for the other side's farewell, in the background."""

NO_TLS = "perhaps the port speaks plain MQTT"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """PEM files; without any, the system's certificates decide whom we trust."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class Dialer:
    """Connects to one host and port, again and again."""

    def __init__(self, host: str, port: int, tls: TlsSettings | None, *, timeout_s: float) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._timeout_s = timeout_s
        self._lookup: Future[list[str]] | None = None
        self.where = f"{host}:{port}"

    async def dial(self, protocol: asyncio.BaseProtocol) -> None:
        """Connect `protocol` to the first address that answers. Raises TransportError."""
        loop = asyncio.get_running_loop()
        context = _tls_context(self._tls) if self._tls else None
        addresses = await self.look_up()
        problem = "the name has no address"
        for address in addresses:
            try:
                async with asyncio.timeout(self._timeout_s / len(addresses)):
                    await loop.create_connection(
                        lambda: protocol,
                        address,
                        self._port,
                        ssl=context,
                        server_hostname=self._host if context else None,
                        ssl_shutdown_timeout=TLS_GOODBYE_S if context else None,
                    )
            except TimeoutError:
                problem = f"no answer within {self._timeout_s:g} s"
            except ssl.SSLCertVerificationError as error:
                problem = f"its certificate is not trusted: {error.verify_message}"
            except ssl.SSLError as error:
                problem = f"TLS failed: {error.reason or error}; {NO_TLS}"
            except OSError as error:
                problem = os.strerror(error.errno) if error.errno else str(error)
                if context and isinstance(error, ConnectionResetError):
                    problem = f"{problem}; {NO_TLS}"
            else:
                return
        raise TransportError(f"cannot connect to {self.where}: {problem}")

    async def look_up(self) -> Sequence[str]:
        """The host's addresses. Raises TransportError."""
        lookup = self._lookup
        if lookup is None or lookup.done():
            lookup = self._lookup = _start_look_up(self._host, self._port)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(asyncio.wrap_future(lookup))
        except TimeoutError:
            problem = f"no answer within {self._timeout_s:g} s"
        except (OSError, UnicodeError) as error:
            problem = getattr(error, "strerror", None) or str(error)
        raise TransportError(f'cannot find the address of "{self._host}": {problem}')


def _start_look_up(host: str, port: int) -> Future[list[str]]:
    answer: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.set_result(list(dict.fromkeys(_numeric(address) for *_, address in found)))
        except (OSError, UnicodeError) as error:
            answer.set_exception(error)

    threading.Thread(target=look_up, name=f"look-up[{host}]", daemon=True).start()
    return answer


def _numeric(address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]) -> str:
    """The address as text; a link-local one needs its interface."""
    host = str(address[0])
    return f"{host}%{address[3]}" if len(address) == 4 and address[3] else host  # noqa: PLR2004


def _tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """Read anew for each connection, since certificates are renewed."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(f for f in (tls.ca_file, tls.cert_file, tls.key_file) if f)
        raise TransportError(f"cannot use {files}: {error.strerror or error}") from error
    return context
