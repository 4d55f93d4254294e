"""A file becomes a `Config`, or a `ConfigError` with everything that is wrong with it.

Limits: FILE_BYTES_MAX, tables nested DEPTH_MAX deep. The file is the operator's own, but a wrong
path may lead to anything: whatever it holds, loading ends soon and in words.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from gateway.config.checks import check
from gateway.config.models import Config
from gateway.config.problems import Problem, from_validation, render
from gateway.config.schema import Loc
from gateway.config.values import Context
from gateway.decoders import Decoders, decoders
from gateway.errors import ConfigError
from gateway.model import Device

FILE_BYTES_MAX: Final = 1 << 20
DEPTH_MAX: Final = 16
PLACES: Final = (Path("gateway.toml"), Path("/etc/sensor-gateway/gateway.toml"))

_LONG_KEY: Final = re.compile(
    rf"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{2 * DEPTH_MAX}}}"""
)
"""tomllib's time for a dotted key grows with the square of its length."""

_VARIABLE: Final = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)\}|(\{))")

_LINE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")

_SYNTAX: Final = (
    ("Invalid value", 'no value: text, durations and sizes stand in quotes, as in name = "mast"'),
    ("Invalid statement", "neither a [section] nor key = value"),
    ("Expected '='", "a key without = and a value"),
    (
        "Expected newline or end of document",
        'something follows a complete value: put text, durations and sizes in quotes, as in "10s"',
    ),
    ("Cannot overwrite", "this key is set already"),
    ("Cannot declare", "this section is there already"),
    ("Cannot mutate", "this table is complete already, where it was written in { }"),
    ("Duplicate inline table key", "a key stands twice in one { }"),
    ("Unclosed array", "a list is not closed with ]"),
    ("Unclosed inline table", "a table is not closed with } on its line"),
    (
        "Invalid initial character for a key part",
        "no key here: a table in { } stands on one line, and no comma precedes its }",
    ),
    ("Illegal character '\\n'", "a quote is not closed"),
    ("Unterminated string", "a quote is not closed"),
    ("Unescaped '\\'", "a backslash in text is written \\\\, or the text in 'single quotes'"),
    ("Invalid date or datetime", "no such date"),
)


def find(explicit: Path | None, places: tuple[Path, ...] = PLACES) -> Path:
    """The file to load: the one named, else the first that exists."""
    if explicit is not None:
        return explicit
    for place in places:
        if _is_there(place):
            return place
    searched = " and ".join(str(place.absolute()) for place in places)
    advice = "name one with --config FILE, or try it without: sensor-gateway demo"
    raise ConfigError([f"no configuration: looked for {searched}; {advice}"])


def _is_there(place: Path) -> bool:
    try:
        return place.is_file()
    except PermissionError:
        return False  # a service's user may not enter the folder that it was started in


def load(
    path: Path, *, environ: Mapping[str, str], devices: Mapping[str, Device] | None = None
) -> Config:
    """The configuration in the file.

    Args:
        path: relative files in it start at its folder.
        environ: what `${NAME}` stands for.
        devices: the decoders to allow; None: those that are installed.

    Raises:
        ConfigError: with every problem.
    """
    raw = _parse(_read(path), path)
    _refuse_depth(raw, path)
    document, problems = _expand(raw, environ)
    _set_state_directory(document, environ)
    context = Context(path.absolute().parent, Path(environ.get("HOME", "/")))
    config, invalid = _validate(document, context)
    known = _decoders(document, context) if devices is None else Decoders(devices, ())
    lines = render(chain(problems, invalid, check(document, known.devices)), raw)
    if config is None or lines:
        raise ConfigError([*lines, *known.problems])  # a decoder that is missed may be among them
    return config


def _decoders(document: Mapping[str, object], context: Context) -> Decoders:
    """Those to be had; their folder counts also where other keys are wrong."""
    section = document.get("gateway")
    folder = section.get("decoders") if isinstance(section, dict) else None
    if not isinstance(folder, str) or "\0" in folder or not context.resolve(folder).is_dir():
        return decoders()
    return decoders(context.resolve(folder))


def _validate(
    document: dict[str, object], context: Context
) -> tuple[Config | None, Iterable[Problem]]:
    try:
        return Config.model_validate(document, context=context), ()
    except ValidationError as error:
        return None, from_validation(error)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file"]) from None
    except IsADirectoryError:
        raise ConfigError([f"{path}: is a folder, not a file"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except ValueError:
        raise ConfigError(["the path of the configuration contains a null character"]) from None
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError([f"{path}: larger than 1 MiB, so it is no configuration"])
    return content


def _parse(content: bytes, path: Path) -> dict[str, object]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}: line {line}: not UTF-8 text"]) from None
    if "\0" in text:
        raise ConfigError([f"{path}: a binary file, not text"])
    if _LONG_KEY.search(text) is not None:
        raise _too_deep(path)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _too_deep(path) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: {_syntax_words(str(error))}"]) from None
    except ValueError:
        # From int(): tomllib lets it through without a place.
        raise ConfigError([f"{path}: a number with thousands of digits"]) from None


def _syntax_words(message: str) -> str:
    """The parser's message, its place first, and in the operator's terms where we know it."""
    place = _LINE.search(message)
    text = message[: place.start()] if place else message
    words = next((words for start, words in _SYNTAX if text.startswith(start)), text)
    line = f"line {place[1]}" if place and place[1] else "at the end"
    return f"{line}: {words}"


def _too_deep(path: Path) -> ConfigError:
    return ConfigError([f"{path}: tables or lists nested deeper than {DEPTH_MAX}"])


def _refuse_depth(raw: dict[str, object], path: Path) -> None:
    """So that all that follows may be recursive."""
    level: list[object] = [raw]
    for _ in range(DEPTH_MAX):
        level = [child for node in level for child in _children(node)]
    if level:
        raise _too_deep(path)


def _children(node: object) -> Iterable[object]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _expand(
    raw: dict[str, object], environ: Mapping[str, str]
) -> tuple[dict[str, object], list[Problem]]:
    """A copy in which `${NAME}` is what the environment says, and `$$` a dollar."""
    problems: list[Problem] = []

    def expanded(value: object, loc: Loc) -> object:
        if isinstance(value, dict):
            return {key: expanded(item, (*loc, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [expanded(item, (*loc, index)) for index, item in enumerate(value)]
        if isinstance(value, str):
            text, words = _expand_text(value, environ)
            problems.extend(Problem(loc, word, found=False) for word in words[:1])
            return text
        return value

    document = {key: expanded(value, (key,)) for key, value in raw.items()}
    return document, problems


def _expand_text(text: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    words: list[str] = []

    def replacement(match: re.Match[str]) -> str:
        dollar, name, _ = match.groups()
        if name is None:
            if dollar is None:
                words.append("a variable is written ${NAME}, and a dollar before { is written $$")
            return "$"
        if name not in environ:
            words.append(f"the environment variable {name} is not set")
        return environ.get(name, "")

    return _VARIABLE.sub(replacement, text), words


def _set_state_directory(document: dict[str, object], environ: Mapping[str, str]) -> None:
    """The folder from systemd goes before the default; of several it is the first."""
    folder = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    section = document.setdefault("gateway", {})
    if folder and isinstance(section, dict):
        section.setdefault("data_dir", folder)
