"""The console over HTTP: read-only on `[console] listen`, and on the control socket for commands.

Strategy: the server is the gateway's least important part. A port that is taken is tried again and
ends nothing; a look is computed when it is asked for; the end waits for nobody.

Who may ask: on the port whoever reaches it, by GET alone, and nothing can be changed. A web page of
somebody else cannot read along: there is no CORS, and all but `/health` and `/metrics` answers only
to names that nobody outside can have made (`_is_own_name`), against DNS rebinding. The control
socket is its owner's.
"""

import asyncio
import base64
import hashlib
import json
import logging
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.console.control import NO_SPOOL, SPOOL_AT_REST, control_socket
from gateway.console.metrics import exposition
from gateway.console.status import health, imbalances, status
from gateway.console.tail import FOLLOWERS_MAX, PAUSE_S, following
from gateway.edges import SPOOL_FILE
from gateway.errors import GatewayError, StoreError
from gateway.spool.desk import PUTS_BACK, answer
from gateway.spool.store import Spool

if TYPE_CHECKING:
    from gateway.app import Gateway

log = logging.getLogger(__name__)

RETRY_S = 30.0
CLOSE_S = 0.05
"""What is under way at the end has this long."""

_FOR_MACHINES = {"/health", "/metrics"}
"""Asked by whatever name the network gives the gateway; no device stands there."""

_OWN_SUFFIXES = (".localhost", ".local", ".home.arpa", ".internal")
"""No public name server answers for these."""


async def serve(
    gateway: "Gateway",
    listen: tuple[str, int] | None,
    data_dir: Path,
    *,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve until cancelled, then end at once.

    Args:
        gateway: what is shown.
        listen: host and port; None: on the control socket only.
        data_dir: where the control socket is made.
        started: called with the page's address once it can be opened.
    """
    console = _Console(gateway)
    async with asyncio.TaskGroup() as group:
        if sys.platform != "win32":  # which has no such sockets in Python
            group.create_task(_serve_control(console, data_dir), name="control")
        if listen is not None:
            group.create_task(_serve_port(console, listen, started), name="console")


class _Console:
    """The answers."""

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._followers = 0

    def routes(self) -> list[web.RouteDef]:
        answers = {
            "/": _page,
            "/health": self._health,
            "/metrics": self._metrics,
            "/api/status": self._status,
            "/api/tail": self._tail,
            "/api/types": self._types,
        }
        return [web.get(path, answer, allow_head=False) for path, answer in answers.items()]

    def control_routes(self) -> list[web.RouteDef]:
        """What changes something, or shows every line: for commands."""
        return [
            web.delete("/api/types", self._unpin),
            web.post("/api/spool/{question}", self._ask_spool),
        ]

    async def _health(self, _request: web.Request) -> web.Response:
        found = health(self._gateway, await imbalances(self._gateway))
        return _json(found, 503 if found["status"] == "failing" else 200)

    async def _metrics(self, _request: web.Request) -> web.Response:
        body = exposition(self._gateway, await imbalances(self._gateway))
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _status(self, _request: web.Request) -> web.Response:
        return _json(status(self._gateway, await imbalances(self._gateway)))

    async def _tail(self, request: web.Request) -> web.StreamResponse:
        """Lines of JSON until the reader goes."""
        if self._followers >= FOLLOWERS_MAX:
            raise web.HTTPServiceUnavailable(text="too many are following already")
        units = self._gateway.catalogue.units
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        self._followers += 1
        try:
            with following(self._gateway.committer.observers) as follower:
                await response.prepare(request)
                while True:
                    await response.write(await follower.read(units))
                    await asyncio.sleep(PAUSE_S)
        except ConnectionResetError:
            return response  # the reader has gone
        finally:
            self._followers -= 1

    async def _types(self, _request: web.Request) -> web.Response:
        pins = sorted(self._gateway.catalogue.pins())
        return _json(
            [
                {"measurement": pin.measurement, "field": pin.field, "is_text": pin.is_text}
                for pin in pins
            ]
        )

    async def _unpin(self, request: web.Request) -> web.Response:
        measurement = request.query.get("measurement", "")
        field = request.query.get("field", "")
        found = self._gateway.catalogue.unpin(measurement, field)
        try:
            await self._gateway.worker.call(self._gateway.store.unpin, measurement, field)
        except StoreError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from error
        return _json({"unpinned": found})

    async def _ask_spool(self, request: web.Request) -> web.Response:
        """The questions of `gateway/spool/desk.py`, answered in the store's thread."""
        store, delivery = self._gateway.store, self._gateway.delivery
        if not isinstance(store, Spool):
            is_there = store.path.with_name(SPOOL_FILE).exists()
            raise web.HTTPConflict(text=SPOOL_AT_REST if is_there else NO_SPOOL)
        question = request.match_info["question"]
        try:
            found = await self._gateway.worker.call(
                answer, store, question, _object(await request.read())
            )
        except StoreError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from error
        except GatewayError as error:
            raise web.HTTPConflict(text=str(error)) from error
        if question in PUTS_BACK and delivery is not None:
            delivery.notify()
        return _json(found)


async def _serve_control(console: _Console, data_dir: Path) -> None:
    application = web.Application()
    application.add_routes([*console.routes(), *console.control_routes()])
    try:
        # The runner ends before the socket: a closed one cannot be taken out of the event loop.
        with control_socket(data_dir) as listener:
            async with _running(application) as runner:
                await web.SockSite(runner, listener).start()
                await _for_ever()
    except OSError as error:
        log.warning("status and tail will not work: no socket in %s: %s", data_dir, error)


async def _serve_port(
    console: _Console, listen: tuple[str, int], started: Callable[[str], None] | None
) -> None:
    application = web.Application(middlewares=[_only_own_names(listen[0])])
    application.add_routes(console.routes())
    application.on_response_prepare.append(_set_headers)
    async with _running(application) as runner:
        await _listen(runner, listen)
        host = f"[{listen[0]}]" if ":" in listen[0] else listen[0]
        url = f"http://{host}:{runner.addresses[0][1]}/"
        log.info("the console is on %s", url)
        if started is not None:
            started(url)
        await _for_ever()


@asynccontextmanager
async def _running(application: web.Application) -> AsyncIterator[web.AppRunner]:
    runner = web.AppRunner(
        application, access_log=None, handler_cancellation=True, shutdown_timeout=CLOSE_S
    )
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, listen: tuple[str, int]) -> None:
    """Listen on the port, as soon as that is possible."""
    warned = False
    while True:
        site = web.TCPSite(runner, *listen)
        try:
            await site.start()
        except OSError as error:
            await site.stop()
            if not warned:
                log.warning(
                    "the console cannot listen on %s port %d, trying again: %s", *listen, error
                )
                warned = True
            await asyncio.sleep(RETRY_S)
        else:
            return


async def _for_ever() -> None:
    await asyncio.Event().wait()


def _only_own_names(configured: str) -> Middleware:
    own = {configured.lower(), socket.gethostname().lower()}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        if request.path not in _FOR_MACHINES and not _is_own_name(host, own):
            raise web.HTTPForbidden(
                text="by this name the gateway does not answer; use its address instead"
            )
        return await handler(request)

    return check


def _is_own_name(host: str, own: set[str]) -> bool:
    """Whether the name cannot have been made to point here by somebody outside.

    That is an address, a name without a dot, one under a suffix of the local network, or one that
    this machine or its configuration gives.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if not name:
        return False
    return name in own or "." not in name or name.endswith(_OWN_SUFFIXES) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


async def _set_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(
        {
            "Cache-Control": "no-store",
            "Content-Security-Policy": _POLICY,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "Server": "sensor-gateway",
            "X-Content-Type-Options": "nosniff",
        }
    )


async def _page(_request: web.Request) -> web.Response:
    return web.Response(text=_PAGE, content_type="text/html")


def _json(content: object, code: int = 200) -> web.Response:
    return web.Response(
        text=json.dumps(content, separators=(",", ":")),
        status=code,
        content_type="application/json",
    )


def _object(content: bytes) -> dict[str, object]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise web.HTTPBadRequest(text="a JSON object is expected")
    return found


def _hashes(page: str, element: str) -> str:
    """The page's own scripts or styles, as the policy names them: no other ever runs."""
    contents = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
    digests = [hashlib.sha256(content.encode()).digest() for content in contents]
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


_PAGE = files("gateway.console").joinpath("page.html").read_text(encoding="utf-8")
_POLICY = (
    f"default-src 'none'; script-src {_hashes(_PAGE, 'script')}; "
    f"style-src {_hashes(_PAGE, 'style')}; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
