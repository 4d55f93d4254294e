"""A server on a loopback port that breaks the rules of HTTP, one `Rudeness` per connection.

It knows nothing of InfluxDB: a script says what it sends and when. Once the script is through, it
passes connections on to the server behind it, if there is one.
"""

import asyncio
import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rudeness:
    """What happens on one connection."""

    says: bytes = b""
    """The answer, raw: status line, headers, body."""
    endlessly: bytes = b""
    """What follows the answer for ever."""
    every_s: float = 0.0
    """The pause before each repetition of it."""
    before_the_body: bool = False
    """Answer once the headers are there, and read no further."""
    waits_s: float = 0.0
    """How long to think before answering."""
    hangs: bool = False
    """Stay silent after the answer instead of closing."""


def answer(status: int, body: bytes = b"", *headers: str, length: int = -1) -> bytes:
    """A well-formed answer; `length` may promise another length than the body has."""
    length = length if length >= 0 else len(body)
    lines = [f"HTTP/1.1 {status} Words", f"Content-Length: {length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class RudeServer:
    """Enter it to have it listen at `url`."""

    def __init__(self, *script: Rudeness, behind: str = "") -> None:
        self.url = ""
        self.script = deque(script)
        self.connections = 0
        self._behind = urlsplit(behind)
        self._server: asyncio.Server
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                if self.script:
                    await self._be_rude(self.script.popleft(), reader, writer)
                elif self._behind.hostname:
                    await self._pass_on(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _be_rude(
        self, rudeness: Rudeness, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length and not rudeness.before_the_body:
            await reader.readexactly(int(length[1]))
        await asyncio.sleep(rudeness.waits_s)
        writer.write(rudeness.says)
        await writer.drain()
        while rudeness.endlessly:
            await asyncio.sleep(rudeness.every_s)
            writer.write(rudeness.endlessly)
            await writer.drain()
        if rudeness.hangs:
            await reader.read()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._behind.hostname, self._behind.port)
        try:
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            back.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
