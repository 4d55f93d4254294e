"""The command line: `sensor-gateway COMMAND`. Exit codes: 0 fine, 1 failed, 2 wrong usage.

Each command imports what it needs when it runs: what only the others need weighs nothing on `run`.
"""

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from gateway import __version__
from gateway.cli_decode import decode
from gateway.cli_options import CONFIG, Group, counted, load, say
from gateway.cli_spool import dead_letters, spool
from gateway.errors import EXIT_FAILED, EXIT_USAGE, ConfigError, GatewayError

if TYPE_CHECKING:
    from gateway.config.models import Config


@click.group(cls=Group, context_settings={"help_option_names": ["--help"]})
@click.version_option(__version__, prog_name="sensor-gateway")
def command() -> None:
    """Serial and MQTT sensors, one event loop, into InfluxDB, losing nothing."""


@command.command()
@CONFIG
@click.option("--verbose", is_flag=True, help="Log more.")
def run(config_path: Path | None, *, verbose: bool) -> None:
    """Run the gateway until Ctrl-C or SIGTERM.

    Example: sensor-gateway run --config gateway.toml
    """
    from gateway import logs

    logs.configure(verbose=verbose, for_people=sys.stderr.isatty())
    config = load(config_path)
    from gateway.config.checks import warnings
    from gateway.service import run_and_leave, run_service

    for warning in warnings(config):
        logging.getLogger(__name__).warning("%s", warning)
    run_and_leave(run_service(config))


@command.command()
@CONFIG
@click.option("--connect", is_flag=True, help="Also try each port, broker and InfluxDB.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema for editors instead.")
def check(config_path: Path | None, *, connect: bool, schema: bool) -> None:
    """Check a configuration: every problem at once, by key.

    Example: sensor-gateway check --config gateway.toml --connect
    """
    if schema:
        import json

        from gateway.config.schema import schema as make_schema

        click.echo(json.dumps(make_schema(), indent=2))
        return
    try:
        config = load(config_path)
    except ConfigError as error:
        click.echo(str(error), err=True)
        click.echo(counted(len(error.problems), "problem"), err=True)
        sys.exit(error.exit_code)
    from gateway.check import check_config

    warnings = check_config(config)
    for warning in warnings:
        click.echo(f"warning: {warning}")
    if warnings:
        click.echo(f"The configuration is valid, with {counted(len(warnings), 'warning')}.")
    else:
        click.echo("The configuration is fine.")
    if connect:
        _check_connections(config)


def _check_connections(config: "Config") -> NoReturn:
    from gateway.check import check_connections
    from gateway.errors import TransportError
    from gateway.service import run_and_leave

    async def check_all() -> None:
        if failed := await check_connections(config, say):
            raise TransportError(f"{counted(failed, 'check')} failed.")
        say("Everything answers.")

    run_and_leave(check_all())


@command.command()
@click.option("--seconds", type=click.FloatRange(min=1), help="End by itself after so long.")
@click.option("--embedded", is_flag=True, help="Use the embedded broker and archive anyway.")
def demo(seconds: float | None, *, embedded: bool) -> None:
    """Simulated devices, a broker and a store on this machine.

    Example: sensor-gateway demo --seconds 20
    """
    from gateway import logs
    from gateway.demo import run_demo
    from gateway.service import run_and_leave

    logs.configure(verbose=False, for_people=True)
    run_and_leave(run_demo(seconds, embedded=embedded, say=say))


command.add_command(decode)


@command.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="The whole status as JSON.")
def status(config_path: Path | None, *, as_json: bool) -> None:
    """State and ledger of the running gateway.

    Example: sensor-gateway status
    """
    from gateway.console.client import fetch_status, render_status

    found = asyncio.run(fetch_status(_data_dir(config_path)))
    if as_json:
        import json

        click.echo(json.dumps(found, indent=2))
        return
    from rich.console import Console

    Console().print(render_status(found))


@command.command()
@CONFIG
def tail(config_path: Path | None) -> None:
    """Show observations of the running gateway as they come.

    Example: sensor-gateway tail
    """
    from gateway.console.client import format_tail
    from gateway.console.client import tail as follow

    async def show() -> None:
        async for entry in follow(_data_dir(config_path)):
            click.echo(format_tail(entry))

    asyncio.run(show())


@command.group()
def types() -> None:
    """The type that each field has for good."""


@types.command("list")
@CONFIG
def types_list(config_path: Path | None) -> None:
    """List the fields and their types.

    Example: sensor-gateway types list
    """
    from gateway.console.client import list_types

    for measurement, field, kind in asyncio.run(list_types(_data_dir(config_path))):
        click.echo(f"{measurement}\t{field}\t{kind}")


@types.command("unpin")
@click.argument("measurement")
@click.argument("field")
@CONFIG
def types_unpin(measurement: str, field: str, config_path: Path | None) -> None:
    """Let a field take a new type with its next value.

    Example: sensor-gateway types unpin sensor mode
    """
    from gateway.console.client import unpin_type

    if not asyncio.run(unpin_type(_data_dir(config_path), measurement, field)):
        raise GatewayError(f"{measurement} has no field {field}")
    click.echo(f"{measurement} {field} takes the type of its next value.")


command.add_command(spool)
command.add_command(dead_letters)


@command.command()
@CONFIG
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write line protocol instead; compressed as *.gz, - is standard output.",
)
def export(config_path: Path | None, output: Path | None) -> None:
    """Send the archive on to InfluxDB, or write it as line protocol.

    Example: sensor-gateway export --output archive.lp
    """
    from functools import partial

    from gateway.export import export_archive
    from gateway.service import run_and_leave

    run_and_leave(export_archive(load(config_path), output, partial(click.echo, err=True)))


def _data_dir(config_path: Path | None) -> Path:
    return Path(load(config_path).gateway.data_dir)


def main() -> NoReturn:
    """The program's entry."""
    try:
        code = command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except GatewayError as error:
        click.echo(str(error), err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = EXIT_FAILED
    except BrokenPipeError:  # `tail | head`: what the interpreter flushes at its end goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILED
    sys.exit(code)
