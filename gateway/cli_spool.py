"""The commands for what waits in the spool, and for the lines that InfluxDB refused for good."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from gateway.cli_options import CONFIG, Group, counted, load, say
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from gateway.console.desk import Changed, Desk
    from gateway.spool.letters import Selection

T = TypeVar("T")

REFUSED_SHOWN = 10
_NUMBER = click.IntRange(1, 2**62)
_IDS_MAX = 10_000

FILE = click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default="-"
)
MESSAGE = click.option("--message", metavar="TEXT", help="Those with this in the server's words.")
UP_TO = click.option("--up-to", type=_NUMBER, metavar="ID", help="Those up to this number.")
IDS = click.argument("ids", type=_NUMBER, nargs=-1, metavar="[ID]...")
ALL = click.option("--all", "everything", is_flag=True, help="All of them.")
JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.group(cls=Group)
def spool() -> None:
    """What InfluxDB does not have yet."""


@spool.command("show")
@CONFIG
@JSON
def spool_show(config_path: Path | None, *, as_json: bool) -> None:
    """How much waits, since when, and what room there is.

    Example: sensor-gateway spool show
    """
    from gateway.clock import now_ns
    from gateway.console.render_spool import as_text, render_look

    found = _ask(config_path, lambda desk: desk.look())
    _print([as_text(found)] if as_json else render_look(found, now_ns()))


@spool.command("export")
@FILE
@CONFIG
def spool_export(file: Path, config_path: Path | None) -> None:
    """Write what waits as line protocol; it goes on waiting.

    FILE is compressed as *.gz; without one, lines go to standard output.

    Example: sensor-gateway spool export pending.lp.gz
    """
    from gateway.output import output_file

    async def export(desk: "Desk") -> tuple[int, int, int]:
        count = corrupt = 0
        async for lines, bad_rows in desk.lines():
            written.writelines(line + b"\n" for line in lines)
            count += len(lines)
            corrupt += bad_rows
        return count, corrupt, (await desk.look())["held_lines"]

    with output_file(file) as written:
        count, corrupt, held = _ask(config_path, export)
    _tell(f"{counted(count, 'pending line')} exported to {file}")
    if held:
        _tell(f"{counted(held, 'line')} not exported: they have no time yet")
    if corrupt:
        raise GatewayError(f"{counted(corrupt, 'row')} cannot be read, and will not be delivered")


@click.group("dead-letters", cls=Group)
def dead_letters() -> None:
    """Lines that InfluxDB refused for good."""


@dead_letters.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@MESSAGE
@JSON
@CONFIG
def letters_list(
    limit: int, message: str | None, config_path: Path | None, *, as_json: bool
) -> None:
    """List the latest; where there are more, first a summary by the server's words.

    Example: sensor-gateway dead-letters list
    """
    from gateway.console.render_spool import LetterList, letters_as_text, render_letters

    wanted = _conditions(message, None)

    async def gather(desk: "Desk") -> LetterList:
        found = await desk.newest(wanted, limit)
        count = (await desk.measure(wanted))["count"]
        groups = await desk.groups(wanted) if as_json or count > len(found) else []
        return LetterList(await desk.look(), count, groups, found)

    found = _ask(config_path, gather)
    _print([letters_as_text(found)] if as_json else render_letters(found))


@dead_letters.command("show")
@click.argument("number", type=_NUMBER, metavar="ID")
@CONFIG
def letters_show(number: int, config_path: Path | None) -> None:
    """Everything about one.

    Example: sensor-gateway dead-letters show 17
    """
    from gateway.console.render_spool import render_letter

    wanted = _selection((number,), None, None, everything=False)
    letters = _ask(config_path, lambda desk: desk.newest(wanted, 1))
    if not letters:
        raise GatewayError(f"there is no dead letter {number}")
    _print(render_letter(letters[0]), whole=True)


@dead_letters.command("retry")
@IDS
@ALL
@MESSAGE
@UP_TO
@click.option("--line", metavar="LINE", help="Send this line in place of the one letter's.")
@CONFIG
def letters_retry(
    ids: tuple[int, ...],
    message: str | None,
    up_to: int | None,
    line: str | None,
    config_path: Path | None,
    *,
    everything: bool,
) -> None:
    """Put them back for delivery, as they are or mended.

    Example: sensor-gateway dead-letters retry 17 --line 'sensor,device=a f=1 1767225600000000000'
    """
    wanted = _selection(ids, message, up_to, everything=everything)
    if line is not None and len(ids) != 1:
        raise click.UsageError("--line is for a single ID")

    async def retry(desk: "Desk") -> tuple[list[int], "Changed"]:
        unknown = await desk.unknown(wanted)
        changed = await (desk.retry(wanted) if line is None else desk.mend(ids[0], line))
        return unknown, changed

    unknown, changed = _ask(config_path, retry)
    click.echo(f"{counted(changed.done, 'line')} put back for delivery.")
    for number, why in changed.refused[:REFUSED_SHOWN]:
        _tell(f"not put back: {number} {why}; mend it: dead-letters retry {number} --line LINE")
    if len(changed.refused) > REFUSED_SHOWN:
        _tell(f"not put back, for such reasons: {len(changed.refused) - REFUSED_SHOWN} more")
    _fail_for_unknown(unknown)
    if changed.refused:
        raise GatewayError(f"{counted(len(changed.refused), 'dead letter')} not put back")


@dead_letters.command("export")
@FILE
@MESSAGE
@UP_TO
@CONFIG
def letters_export(
    file: Path, message: str | None, up_to: int | None, config_path: Path | None
) -> None:
    """Write them as line protocol, each after a comment with its number and the server's words.

    FILE is compressed as *.gz; without one, lines go to standard output.

    Example: sensor-gateway dead-letters export dead.lp.gz
    """
    from gateway.console.render_spool import exported
    from gateway.output import output_file

    wanted = _conditions(message, up_to)

    async def export(desk: "Desk") -> tuple[int, int]:
        count = last = 0
        async for letters in desk.letters(wanted):
            written.writelines(map(exported, letters))
            count += len(letters)
            last = letters[-1]["id"] if letters else last
        return count, last

    with output_file(file) as written:
        count, last = _ask(config_path, export)
    _tell(f"{counted(count, 'dead letter')} exported to {file}")
    if count:
        _tell(f"To delete exactly these: {_drop_command(message, last)}")


@dead_letters.command("drop")
@IDS
@ALL
@MESSAGE
@UP_TO
@click.option("--yes", is_flag=True, help="Do not ask.")
@CONFIG
def letters_drop(
    ids: tuple[int, ...],
    message: str | None,
    up_to: int | None,
    config_path: Path | None,
    *,
    everything: bool,
    yes: bool,
) -> None:
    """Delete them for good; that they died stays counted.

    Example: sensor-gateway dead-letters drop --up-to 17
    """
    wanted = _selection(ids, message, up_to, everything=everything)

    async def measure(desk: "Desk") -> tuple[list[int], int, int]:
        found = await desk.measure(wanted)
        return await desk.unknown(wanted), found["count"], found["highest"]

    unknown, count, highest = _ask(config_path, measure)
    done = 0
    if count:
        _confirm(f"Delete {counted(count, 'dead letter')} for good?", yes=yes)
        done = _ask(config_path, lambda desk: desk.drop(wanted._replace(up_to=highest))).done
    click.echo(f"{counted(done, 'dead letter')} deleted.")
    _fail_for_unknown(unknown)


def _ask(config_path: Path | None, ask: "Callable[[Desk], Awaitable[T]]") -> T:
    """Open the spool, wherever it is to be had, for one question or a few."""

    async def opened() -> T:
        async with _desk(config_path) as desk:
            return await ask(desk)

    return asyncio.run(opened())


@asynccontextmanager
async def _desk(config_path: Path | None) -> AsyncIterator["Desk"]:
    from gateway.console.desk import open_desk

    async with open_desk(load(config_path)) as desk:
        for warning in desk.warnings:
            _tell(f"warning: {warning}")
        yield desk


def _selection(
    ids: tuple[int, ...], message: str | None, up_to: int | None, *, everything: bool
) -> "Selection":
    """Which ones; nothing is meant by saying nothing."""
    conditions = everything or message is not None or up_to is not None
    if ids and conditions:
        raise click.UsageError("give IDs, or --all, --message and --up-to, not both")
    if not ids and not conditions:
        raise click.UsageError("which ones? Give IDs, or --all, --message TEXT, --up-to ID")
    if len(ids) > _IDS_MAX:
        raise click.UsageError(f"at most {_IDS_MAX} IDs at a time")
    return _conditions(message, up_to)._replace(ids=ids)


def _conditions(message: str | None, up_to: int | None) -> "Selection":
    from gateway.spool.letters import Selection

    if message is not None and not message:
        raise click.UsageError("--message: the text is empty; --all means all of them")
    return Selection((), message or "", up_to)


def _drop_command(message: str | None, last: int) -> str:
    from shlex import quote

    words = "" if message is None else f"--message {quote(message)} "
    return f"sensor-gateway dead-letters drop {words}--up-to {last}"


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("without a terminal to ask on, deleting needs --yes")
    click.confirm(question, abort=True)


def _fail_for_unknown(numbers: list[int]) -> None:
    if numbers:
        shown = ", ".join(map(str, numbers[:REFUSED_SHOWN]))
        more = " and others" if len(numbers) > REFUSED_SHOWN else ""
        raise GatewayError(f"there is no dead letter {shown}{more}")


def _print(lines: Iterable[str], *, whole: bool = False) -> None:
    """On a terminal each line is cut to its width, unless it is to be shown whole."""
    from shutil import get_terminal_size

    from gateway.console.render_spool import cut

    width = get_terminal_size().columns if sys.stdout.isatty() and not whole else None
    for line in lines:
        say(cut(line, width))


def _tell(line: str) -> None:
    """Beside the output, which may be data."""
    click.echo(line, err=True)
