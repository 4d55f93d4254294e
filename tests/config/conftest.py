"""A loader of text, and a registry that does not change with the installed devices."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gateway.asking import Poll, Request
from gateway.config import Config, load
from gateway.errors import ConfigError
from gateway.framing.delimited import Lines
from gateway.model import Decoder, Device, Frame, Ignored, Reason, Verdict

Load = Callable[..., Config]
Problems = Callable[..., list[str]]


class FakeDecoder:
    """Takes a list of columns, and refuses an empty one as the real ones do."""

    def __init__(self, columns: list[str] | None = None, separator: str = ",") -> None:
        if columns == [] or len(separator) != 1:
            raise ValueError("columns: at least one; separator: one character")
        if columns is not None and "" in columns:
            raise ConfigError(["columns[1].name: it is empty", "rows: there are none"])

    def decode(self, frame: Frame) -> Verdict:
        return Ignored(Reason.FIRST_LINE)


class FakeAsker(FakeDecoder):
    """A decoder of devices that are asked; nobody asks it for anything."""

    def begin(self, now_s: float) -> None: ...

    def ask(self, now_s: float) -> Request | float:
        return math.inf

    def outcome(self) -> Poll | None: ...

    def give_up(self, now_s: float, poll: Poll) -> None: ...

    def problems(self) -> list[str]:
        return []


def device(
    name: str,
    *,
    stream: bool,
    options: tuple[str, ...] = (),
    baudrates: tuple[int, ...] = (),
    decoder: Callable[..., Decoder] = FakeDecoder,
) -> Device:
    framer = Lines if stream else None
    return Device(name, "", decoder, framer, frozenset(options), baudrates=baudrates)


DEVICES: Mapping[str, Device] = {
    one.name: one
    for one in (
        device("asker", stream=True, decoder=FakeAsker),
        device("json", stream=False),
        device("nmea0183", stream=True, baudrates=(4800,)),
        device("text", stream=True, options=("columns", "separator")),
        device("value", stream=False),
    )
}


@pytest.fixture
def read(tmp_path: Path) -> Load:
    """Load a configuration from its text."""

    def load_text(text: str, **environ: str) -> Config:
        path = tmp_path / "gateway.toml"
        path.write_text(text, "utf-8")
        return load(path, environ={"HOME": "/home/pi", **environ}, devices=DEVICES)

    return load_text


@pytest.fixture
def problems(read: Load) -> Problems:
    """What is wrong with a text; nothing, if it is right."""

    def problems_of(text: str, **environ: str) -> list[str]:
        try:
            read(text, **environ)
        except ConfigError as error:
            return list(error.problems)
        return []

    return problems_of
