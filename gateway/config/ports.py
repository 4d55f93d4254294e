"""Where a byte stream comes from, as it is written: ports, addresses, commands, and baud rates."""

import re
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, WithJsonSchema

from gateway.config.values import ADDRESS, LAST_PORT, path_from

BAUDRATE_MAX: Final = 4_000_000


class Way(StrEnum):
    """The kinds of byte streams, named by how the operator writes them."""

    SERIAL = "a serial port"
    TCP = "tcp://"
    RFC2217 = "rfc2217://"
    STDIN = "stdin"
    COMMAND = "command"


def way_of(port: str | None) -> Way:
    """Which one it is; without a port it is a command."""
    if port is None:
        return Way.COMMAND
    return next(
        (way for way in (Way.TCP, Way.RFC2217, Way.STDIN) if port.startswith(way)), Way.SERIAL
    )


_USB: Final = re.compile(r"usb:[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}(?::.+)?")
_DEVICE_FILE: Final = re.compile(r"/.+|COM[0-9]{1,3}")
_PORT: Final = (
    'a path such as "/dev/ttyUSB0", "usb:VID:PID", "usb:VID:PID:SERIAL", "tcp://host:port", '
    '"rfc2217://host:port" or "stdin"'
)


def _port(text: str) -> str:
    if not (text.isprintable() and _is_port(text)):
        raise ValueError(f"allowed: {_PORT}")
    return text


def _is_port(text: str) -> bool:
    way = way_of(text)
    if way is Way.STDIN:
        return text == way
    if way in (Way.TCP, Way.RFC2217):
        match = ADDRESS.fullmatch(text.removeprefix(way))
        return match is not None and 0 < int(match[3]) <= LAST_PORT
    kind = _USB if text.startswith("usb:") else _DEVICE_FILE
    return kind.fullmatch(text) is not None


def address_of(port: str) -> tuple[str, int]:
    """Host and port of a bridge."""
    match = ADDRESS.fullmatch(port.removeprefix(way_of(port)))
    assert match is not None  # noqa: S101 -- `_is_port` has seen it
    return match[1] or match[2], int(match[3])


Port = Annotated[str, AfterValidator(_port), WithJsonSchema({"type": "string", "title": _PORT})]

_COMMAND: Final = 'a list of words such as ["rtl_433", "-F", "json"]'


def _command(value: object, info: ValidationInfo) -> tuple[str, ...]:
    """The words; a program that is named by its path may be relative as other paths."""
    words = value if isinstance(value, list) else []
    if not all(isinstance(word, str) and "\0" not in word for word in words) or not any(words[:1]):
        raise ValueError(f"allowed: {_COMMAND}")
    program, *arguments = words
    return (str(path_from(program, info)) if "/" in program else program, *arguments)


Command = Annotated[
    tuple[str, ...],
    BeforeValidator(_command),
    WithJsonSchema(
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "title": _COMMAND}
    ),
]

_BAUDRATE: Final = f'a whole number from 1 to {BAUDRATE_MAX}, or "auto"'


def _baudrate(value: object) -> object:
    is_rate = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= BAUDRATE_MAX
    if not is_rate and value != "auto":
        raise ValueError(f"allowed: {_BAUDRATE}")
    return value


Baudrate = Annotated[
    int | Literal["auto"],
    BeforeValidator(_baudrate),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": BAUDRATE_MAX},
                {"const": "auto"},
            ],
            "title": _BAUDRATE,
        }
    ),
]
