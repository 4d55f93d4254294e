"""What the commands share: the option for the configuration, and how it is read."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.errors import GatewayError

if TYPE_CHECKING:
    from gateway.config.models import Config

CONFIG = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Default: ./gateway.toml, then /etc/sensor-gateway/gateway.toml.",
)


class Group(click.Group):
    """Commands in the order in which they are met, not in that of the alphabet."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(self.commands)


def load(config_path: Path | None) -> "Config":
    from gateway.config.load import find
    from gateway.config.load import load as read

    return read(find(config_path), environ=os.environ)


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def say(line: str) -> None:
    try:
        click.echo(line)
    except BrokenPipeError as error:  # `| head` has read enough
        raise GatewayError("nobody reads the output any more") from error
