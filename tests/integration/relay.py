"""A relay of bytes to a server that cuts connections or is slow, as a bad proxy or line is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Relay:
    """Passes bytes on to a server; the first `cuts` connections end after `bytes_max` of them."""

    def __init__(
        self,
        url: str,
        *,
        cuts: int = 0,
        bytes_max: int = 0,
        answers: bool = False,
        bytes_per_s: float = 0.0,
    ) -> None:
        self.url = ""
        self.cut = 0
        self._host, port = url.removeprefix("http://").split(":")
        self._port = int(port)
        self._cuts = cuts
        self._bytes_max = bytes_max
        self._answers = answers
        """Cut the way back instead of the way there."""
        self._bytes_per_s = bytes_per_s

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Relay"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._port)
        limit = self._bytes_max if self.cut < self._cuts else 1 << 40
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, back, 1 << 40 if self._answers else limit))
                group.create_task(self._pass(there, writer, limit if self._answers else 1 << 40))
        except* ConnectionError:
            pass
        finally:
            writer.transport.abort()
            back.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int
    ) -> None:
        passed = 0
        piece = 2_048 if self._bytes_per_s else 65_536
        while data := await reader.read(min(piece, limit - passed)):
            if self._bytes_per_s:
                await asyncio.sleep(len(data) / self._bytes_per_s)
            writer.write(data)
            await writer.drain()
            passed += len(data)
            if passed >= limit:
                self.cut += 1
                raise ConnectionResetError
        raise ConnectionResetError
