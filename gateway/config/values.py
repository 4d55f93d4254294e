"""The kinds of values that a configuration is written in: durations, sizes, addresses, files.

Each turns what stands in the file into what the program uses, or raises ValueError with words that
say what is allowed. The words never repeat the value: it may be a secret, or come from the
environment. `problems.py` adds what was found where that is safe.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gateway.durations import DURATIONS, Scale
from gateway.names import label, measurement, name

SECRET_BYTES_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class Context:
    """Where relative files and `~` start."""

    folder: Path
    home: Path

    def resolve(self, text: str) -> Path:
        if text == "~" or text.startswith("~/"):
            return self.home / text[2:]
        return self.folder / text


@dataclass(frozen=True, slots=True)
class _Amount:
    """A number with a unit between two others, all written the same way."""

    least: str
    most: str

    scale: ClassVar[Scale]

    def amount(self, value: object) -> Decimal:
        return self.scale.read(value, self.least, self.most)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        title = self.scale.words(self.least, self.most)
        return {"type": "string", "title": title, "pattern": self.scale.pattern()}


class Duration(_Amount):
    """`Annotated[float, Duration("10ms", "1h")]`: written "1.5s", read as seconds."""

    scale = DURATIONS

    def __get_pydantic_core_schema__(
        self, _source: object, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: float(self.amount(value)))


class Size(_Amount):
    """`Annotated[int, Size("1MiB", "1TiB")]`: written "500MB", read as bytes."""

    scale = Scale(
        noun="a size",
        hint="MiB",
        units={
            "B": Decimal(1),
            "kB": Decimal(1_000),
            "MB": Decimal(1_000**2),
            "GB": Decimal(1_000**3),
            "TB": Decimal(1_000**4),
            "KiB": Decimal(1_024),
            "MiB": Decimal(1_024**2),
            "GiB": Decimal(1_024**3),
            "TiB": Decimal(1_024**4),
        },
    )

    def __get_pydantic_core_schema__(
        self, _source: object, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: int(self.amount(value)))


LAST_PORT: Final = 65_535
ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s\[\]:/@]+)):([0-9]{1,5})")


def _listen(value: object) -> tuple[str, int] | None:
    match = ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is not None and int(match[3]) <= LAST_PORT:
        return match[1] or match[2], int(match[3])
    if value == "":
        return None
    raise ValueError('allowed: "host:port" such as "127.0.0.1:9280" or "[::1]:9280", "" for off')


Listen = Annotated[
    tuple[str, int] | None,
    BeforeValidator(_listen),
    WithJsonSchema({"type": "string", "title": '"host:port", or "" for off'}),
]


def split_url(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """Scheme, host and port of an address without credentials.

    Raises:
        ValueError: in words; what urlsplit itself says may quote a password.
    """
    allowed = " or ".join(f"{scheme}://host:port" for scheme in schemes)
    if "@" in text:
        raise ValueError(
            f"allowed: {allowed}, without a user or password: "
            "these go to username and password_file"
        )
    try:
        url = urlsplit(text)
        complete = bool(url.hostname) and url.port != 0
    except ValueError:
        complete = False
    if not complete or url.scheme not in schemes or not text.isprintable() or " " in text:
        raise ValueError(f"allowed: {allowed}")
    if url.query or url.fragment:
        raise ValueError(f"allowed: {allowed}, without ? and #")
    return url


def _http_url(text: str) -> str:
    split_url(text, ("http", "https"))
    return text.rstrip("/")


def _mqtt_url(text: str) -> str:
    if split_url(text, ("mqtt", "mqtts")).path.strip("/"):
        raise ValueError("allowed: mqtt://host:port without a path; topics go to subscribe")
    return text.rstrip("/")


HttpUrl = Annotated[
    str,
    AfterValidator(_http_url),
    WithJsonSchema({"type": "string", "title": "http://host:port or https://host:port"}),
]
MqttUrl = Annotated[
    str,
    AfterValidator(_mqtt_url),
    WithJsonSchema({"type": "string", "title": "mqtt://host:port or mqtts://host:port"}),
]


Label = Annotated[str, AfterValidator(label)]
"""What may stand as a tag's value or an entry's name."""

Name = Annotated[str, AfterValidator(name)]
"""What may stand as the name of a tag or field."""

Measurement = Annotated[str, AfterValidator(measurement)]


def _whole(value: object) -> object:
    """Python takes true and 1.0 for 1."""
    if isinstance(value, bool | float):
        raise PydanticCustomError("not_whole", "no whole number")
    return value


Whole: Final = BeforeValidator(_whole)


def path_from(value: object, info: ValidationInfo) -> Path:
    """Relative paths start at the folder of the configuration, `~` is the home folder."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("allowed: a path")
    context = info.context
    return context.resolve(value) if isinstance(context, Context) else Path(value)


def _readable(value: object, info: ValidationInfo) -> Path:
    path = path_from(value, info)
    _read(path, 0)
    return path


def _there(value: object, info: ValidationInfo) -> Path:
    path = path_from(value, info)
    if not path.is_dir():
        raise ValueError(f"no such folder{_RELATIVE}")
    return path


def _read(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except FileNotFoundError:
        raise ValueError(f"no such file{_RELATIVE}") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None


_RELATIVE: Final = " (a relative path starts at the folder of the configuration)"
_PATH_SCHEMA: Final = WithJsonSchema({"type": "string", "title": "a path"})

Folder = Annotated[Path, BeforeValidator(path_from), _PATH_SCHEMA]
FolderThere = Annotated[Path, BeforeValidator(_there), _PATH_SCHEMA]
ReadableFile = Annotated[Path, BeforeValidator(_readable), _PATH_SCHEMA]


def _secret(text: str) -> SecretStr:
    if not text:
        raise ValueError("is empty")
    if not text.isprintable():
        raise ValueError("contains a line break or another control character")
    return SecretStr(text)


def _secret_text(value: object) -> SecretStr:
    if not isinstance(value, str):
        raise ValueError("allowed: text")  # noqa: TRY004 -- pydantic
    return _secret(value)


def _secret_file(value: object, info: ValidationInfo) -> SecretStr:
    content = _read(path_from(value, info), SECRET_BYTES_MAX + 1)
    if len(content) > SECRET_BYTES_MAX:
        raise ValueError(f"the file is larger than {SECRET_BYTES_MAX} bytes: this is no secret")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text") from None
    try:
        return _secret(text.rstrip("\r\n"))
    except ValueError as error:
        raise ValueError(f"the file {error}") from None


Secret = Annotated[
    SecretStr, BeforeValidator(_secret_text), WithJsonSchema({"type": "string", "title": "text"})
]
SecretFile = Annotated[SecretStr, BeforeValidator(_secret_file), _PATH_SCHEMA]
"""Written as a path, read as what the file holds, without a line break at its end."""


class Section(BaseModel):
    """A table of the file: no key that is not known, no value of another type."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


Tags = dict[Name, Label]


def revealed(*secrets: SecretStr | None) -> str | None:
    """The first secret that there is."""
    return next((secret.get_secret_value() for secret in secrets if secret is not None), None)


def unknown_name(words: str, known: Collection[str]) -> PydanticCustomError:
    """What a validator raises; the search for the nearest is left to who shows the problem."""
    return PydanticCustomError("unknown_name", words, {"known": known})
