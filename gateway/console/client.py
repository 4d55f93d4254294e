"""What the commands ask a running gateway, through the control socket in its data directory."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from errno import EACCES
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import aiohttp

from gateway.console.control import short_path
from gateway.console.render import format_tail, render_status
from gateway.errors import TransportError
from gateway.spool.lock import holder

if TYPE_CHECKING:
    from gateway.console.status import Status
    from gateway.console.tail import Missed, Observed

__all__ = [
    "FieldType",
    "ask_spool",
    "fetch_status",
    "format_tail",
    "list_types",
    "render_status",
    "tail",
    "unpin_type",
]

ANSWER_S = 10.0
LINE_BYTES_MAX = 8 * 1024 * 1024
"""An observation of a thousand fields of text takes so much at most."""


class FieldType(NamedTuple):
    """The type that a field has for good."""

    measurement: str
    field: str
    kind: str
    """"number" or "text"."""


async def fetch_status(data_dir: Path) -> "Status":
    """The whole status. Raises TransportError where no gateway answers."""
    async with _ask(data_dir, "GET", "/api/status") as response:
        found: Status = await response.json()
        return found


async def tail(data_dir: Path) -> AsyncIterator["Observed | Missed"]:
    """Observations as they come, until the gateway ends. Raises TransportError where none runs."""
    async with _ask(data_dir, "GET", "/api/tail", follow=True) as response:
        try:
            async for line in response.content:
                yield json.loads(line)
        except aiohttp.ClientError:
            return  # the gateway has ended


async def list_types(data_dir: Path) -> list[FieldType]:
    """Every field with its type. Raises TransportError where no gateway answers."""
    async with _ask(data_dir, "GET", "/api/types") as response:
        return [
            FieldType(pin["measurement"], pin["field"], "text" if pin["is_text"] else "number")
            for pin in await response.json()
        ]


async def unpin_type(data_dir: Path, measurement: str, field: str) -> bool:
    """Let a field take a new type; False where it has none. Raises TransportError."""
    query = {"measurement": measurement, "field": field}
    async with _ask(data_dir, "DELETE", "/api/types", query) as response:
        return bool((await response.json())["unpinned"])


async def ask_spool(data_dir: Path, question: str, arguments: Mapping[str, object]) -> object:
    """Ask a question of `gateway/spool/desk.py`. Raises TransportError."""
    async with _ask(data_dir, "POST", f"/api/spool/{question}", content=arguments) as response:
        return await response.json()


@asynccontextmanager
async def _ask(
    data_dir: Path,
    method: str,
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    content: Mapping[str, object] | None = None,
    follow: bool = False,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The gateway's answer, whole unless it is followed, or a TransportError in words."""
    timeout = aiohttp.ClientTimeout(None if follow else ANSWER_S, sock_connect=ANSWER_S)
    try:
        with short_path(data_dir) as socket_path:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.UnixConnector(path=socket_path),
                    timeout=timeout,
                    read_bufsize=LINE_BYTES_MAX,
                ) as session,
                session.request(
                    method, f"http://gateway{path}", params=query, json=content
                ) as response,
            ):
                if not response.ok:
                    raise TransportError(await response.text())
                yield response
    except TimeoutError as error:
        raise TransportError(f"the gateway on {data_dir} does not answer") from error
    except (aiohttp.ClientError, OSError) as error:
        if isinstance(error, OSError) and error.errno == EACCES:
            raise TransportError(f"{data_dir} belongs to another user: try with sudo") from error
        raise TransportError(_nobody(data_dir)) from error


def _nobody(data_dir: Path) -> str:
    pid = holder(data_dir)
    if pid is None:
        return f"no gateway is running on {data_dir}"
    return (
        f"process {pid} holds {data_dir} and does not answer: a gateway that is starting or ending,"
        " or another command; try again"
    )
