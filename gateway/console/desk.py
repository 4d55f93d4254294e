"""The spool as the commands see it: through the running gateway, or where none runs, by themselves.

Strategy: the same questions either way (`gateway/spool/desk.py`), asked page by page and step by
step, so that neither side ever holds more than a page. Where no gateway runs the command takes the
lock of the data directory, and nothing can be written behind its back. Run by root it becomes the
directory's owner meanwhile: files that root made there would keep the gateway out. Limits: letters
that die while a command runs are the next one's.
"""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gateway.clock import now_ns
from gateway.config.models import Config
from gateway.console.client import ask_spool
from gateway.console.control import NO_SPOOL
from gateway.edges import SPOOL_FILE
from gateway.errors import GatewayError
from gateway.spool.desk import Letter, LetterGroup, Measure, SpoolLook, answer, line_bytes
from gateway.spool.letters import Selection
from gateway.spool.lock import DataDir, holder
from gateway.spool.rows import LOWEST
from gateway.spool.salvage import fresh_path
from gateway.spool.store import Spool

GROUPS_MAX = 1_000
"""Different words of the server that are told apart."""

Ask = Callable[..., Awaitable[Any]]
"""(question, arguments by name) -> the answer of `gateway/spool/desk.py`."""


class Changed(NamedTuple):
    """What a command has changed."""

    done: int
    refused: list[tuple[int, str]]
    """Letters that stay as they are, and why."""


class Desk:
    """Whatever a command asks of a spool. Raises GatewayError in words for the operator."""

    def __init__(self, ask: Ask, warnings: list[str]) -> None:
        self._ask = ask
        self.warnings = warnings
        """What became known when the file was opened."""

    async def look(self) -> SpoolLook:
        found: SpoolLook = await self._ask("look")
        return found

    async def lines(self) -> AsyncIterator[tuple[list[bytes], int]]:
        """Pages of pending lines, with the number of rows that cannot be read."""
        async for page in self._pages("lines"):
            yield list(map(line_bytes, page["lines"])), page["corrupt"]

    async def letters(self, wanted: Selection) -> AsyncIterator[list[Letter]]:
        """Pages of letters, the oldest first."""
        async for page in self._pages("find", wanted=wanted):
            yield page["letters"]

    async def newest(self, wanted: Selection, limit: int) -> list[Letter]:
        """Some of the latest, the latest first."""
        found: list[Letter] = await self._ask("newest", wanted=wanted, limit=limit)
        return found

    async def groups(self, wanted: Selection) -> list[LetterGroup]:
        """Letters with equal words; the group with the latest letter first."""
        groups: dict[tuple[int, str], LetterGroup] = {}
        async for page in self._pages("groups", wanted=wanted):
            for found in page["groups"]:
                key = (found["status"], found["message"])
                if key not in groups and len(groups) >= GROUPS_MAX:
                    key = (found["status"], "other words")
                    found["message"] = key[1]
                _merge(groups.setdefault(key, found), found)
        return sorted(groups.values(), key=lambda group: -group["last"])

    async def measure(self, wanted: Selection) -> Measure:
        found: Measure = await self._ask("measure", wanted=wanted)
        return found

    async def unknown(self, wanted: Selection) -> list[int]:
        """Numbers that no letter has."""
        if not wanted.ids:
            return []
        found = [letter["id"] async for page in self.letters(wanted) for letter in page]
        return sorted(set(wanted.ids) - set(found))

    async def retry(self, wanted: Selection) -> Changed:
        """Put letters back for delivery; those with a flaw stay."""
        return await self._change("retry", wanted)

    async def mend(self, number: int, line: str) -> Changed:
        """Put a letter back with another line."""
        step = await self._ask("mend", number=number, line=line)
        return Changed(step["done"], [])

    async def drop(self, wanted: Selection) -> Changed:
        """Delete letters."""
        return await self._change("drop", wanted)

    async def _change(self, question: str, wanted: Selection) -> Changed:
        """Step by step, up to the letters that are there now: a retried one may soon die again."""
        highest = (await self.measure(wanted))["highest"]
        wanted = wanted._replace(up_to=highest)
        done, refused = 0, list[tuple[int, str]]()
        try:
            async for step in self._pages(question, wanted=wanted):
                done += step["done"]
                refused += [(number, why) for number, why in step["refused"]]
        except GatewayError as error:
            if not done:
                raise
            raise GatewayError(
                f"{error} ({done} dead letters are dealt with, the others are as they were)"
            ) from error
        return Changed(done, refused)

    async def _pages(self, question: str, **arguments: object) -> AsyncIterator[Any]:
        after: int | None = LOWEST
        while after is not None:
            page = await self._ask(question, after=after, **arguments)
            after = page["last"]
            yield page


def _merge(group: LetterGroup, later: LetterGroup) -> None:
    if group is not later:
        group["count"] += later["count"]
        group["last"], group["last_ns"] = later["last"], later["last_ns"]
        group["line"] = later["line"]


@asynccontextmanager
async def open_desk(config: Config) -> AsyncIterator[Desk]:
    """The spool of a configuration, wherever it is to be had."""
    data_dir = Path(config.gateway.data_dir)
    if holder(data_dir) is not None:

        async def ask(question: str, **arguments: object) -> object:
            return await ask_spool(data_dir, question, arguments)

        yield Desk(ask, [])
        return
    path = data_dir / SPOOL_FILE
    if not path.exists() and not fresh_path(path).exists():
        if config.influxdb is None:
            raise GatewayError(NO_SPOOL)
        raise GatewayError(f"there is no spool in {data_dir}: no gateway has run there yet")
    with _as_owner(data_dir), DataDir(data_dir), _opened(config, path) as spool:

        async def ask_file(question: str, **arguments: object) -> object:
            return answer(spool, question, arguments)

        yield Desk(ask_file, spool.warnings)


@contextmanager
def _opened(config: Config, path: Path) -> Iterator[Spool]:
    spool = Spool.open(
        path, max_bytes=config.spool.max_bytes, min_free=config.spool.min_free, now_ns=now_ns
    )
    try:
        yield spool
    finally:
        spool.close()


@contextmanager
def _as_owner(directory: Path) -> Iterator[None]:
    """Root makes files as the owner of the directory would."""
    if sys.platform == "win32" or os.geteuid() != 0:
        yield
        return
    owner = directory.stat()
    group = os.getegid()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
