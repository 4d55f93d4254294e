"""Observation -> one line of InfluxDB line protocol, the same bytes for every version of InfluxDB.

Lines that a person wrote or mended are looked at by `flaw`, strictly: what it lets through every
version reads alike.

Strategy: what is the same for all points of a series (measurement, tags) is cleaned, escaped and
joined once by `make_series`; a message only adds its fields and its time. Names and tag values
keep to what versions 1, 2 and 3 all take: no control characters, no backslash (their parsers
disagree about it), a letter or digit in front, not `time`. Limits: a name has at most
`NAME_CHARS_MAX` characters, a tag value `TAG_CHARS_MAX`, which keeps a series key far below the
65,535 bytes that servers allow.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2s
from math import isfinite

from gateway.model import FieldValue, Observation, Series
from gateway.times import is_since_boot

NAME_CHARS_MAX = 128
TAG_CHARS_MAX = 512
TIME_MAX_NS = 2**63 - 2
_INTEGER_MAX = 2**63 - 1

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
ESCAPED_NAME = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
ESCAPED_MEASUREMENT = str.maketrans({",": r"\,", " ": r"\ "})
_ESCAPED_TEXT = str.maketrans({'"': r"\"", "\\": r"\\"})

_NAME = r"(?:[^,= \\]++|\\[,= ])++"
_VALUE = (
    r'(?:"(?:[^"\\]++|\\["\\])*+"|-?\d++(?:\.\d++)?(?:[eE][+-]?\d++)?|-?\d++i|\d++u'
    r"|[tT]|[fF]|true|True|TRUE|false|False|FALSE)(?=[, ]|$)"
)
_SERIES = re.compile(rf"(?:[^, \\]++|\\[, ])++(?P<tags>(?:,{_NAME}={_NAME})*+)(?= |$)", re.ASCII)
_FIELDS = re.compile(rf"{_NAME}={_VALUE}(?:,{_NAME}={_VALUE})*+(?= |$)", re.ASCII)
_TAG = re.compile(rf",({_NAME})=({_NAME})", re.ASCII)
_FIELD = re.compile(rf"({_NAME})=({_VALUE}),?", re.ASCII)
_TIME = re.compile(r"-?\d{1,19}", re.ASCII)


def make_series(measurement: str, tags: Mapping[str, str]) -> Series:
    """Clean and escape what all points of a series share; tags without a value are left out."""
    measurement = _name(measurement, taken=())
    cleaned: dict[str, str] = {}
    for key, value in sorted(tags.items()):
        if text := _bounded(_clean(value), TAG_CHARS_MAX):
            cleaned[_name(key, taken=cleaned)] = text
    ordered = tuple(sorted(cleaned.items()))
    prefix = measurement.translate(ESCAPED_MEASUREMENT) + "".join(
        f",{key.translate(ESCAPED_NAME)}={value.translate(ESCAPED_NAME)}" for key, value in ordered
    )
    return Series(measurement, ordered, prefix)


def encode(observation: Observation) -> bytes:
    """One line without its newline; a field that is no finite number or text is left out."""
    series, fields, time_ns, *_ = observation
    try:
        plain = isfinite(sum(fields.values()))  # type: ignore[arg-type]
    except TypeError:  # text among the numbers
        plain = False
    if plain:
        line = _template(series.prefix, tuple(fields)) % (*fields.values(), time_ns)
    else:
        line = f"{series.prefix} {','.join(_pairs(series.prefix, fields))} {time_ns}"
    return line.encode("utf-8", "replace")


@lru_cache(maxsize=4096)
def _template(prefix: str, names: tuple[str, ...]) -> str:
    """The line for `%`: most messages of a device have the same fields, all of them numbers."""
    keys = [_key(prefix, name).replace("%", "%%") for name in names]
    return f"{prefix.replace('%', '%%')} {','.join(f'{key}=%r' for key in keys)} %d"


def _pairs(prefix: str, fields: Mapping[str, FieldValue]) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, str):
            text = _CONTROL.sub(" ", value).translate(_ESCAPED_TEXT)
            yield f'{_key(prefix, name)}="{text}"'
        elif isfinite(value):
            yield f"{_key(prefix, name)}={value!r}"


@lru_cache(maxsize=4096)
def _key(prefix: str, name: str) -> str:
    """The field's escaped name; one that is also a tag gets another name."""
    key = _name(name, taken=()).translate(ESCAPED_NAME)
    # Version 3 refuses a field with a tag's name. What is no separator in the prefix is escaped,
    # so this finds tags; a measurement that looks like one costs its field an odd name, no more.
    return f"{key}_value" if f",{key}=" in prefix else key


def flaw(line: bytes) -> str:
    """Why the line must not be sent, in words that follow "it"; empty where nothing is wrong.

    Limit: whether the database takes it, it alone knows (types, retention, its version's unsigned
    integers).
    """
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    if _CONTROL.search(text):
        return "holds a line break or another control character"
    series = _SERIES.match(text)
    if series is None:
        return "does not begin with a measurement and its tags: measurement,tag=value field=1 time"
    fields = _FIELDS.match(text, series.end() + 1)
    if fields is None:
        return 'has no fields as they are written: a=1.5 or a=1i or a=true or a="text"'
    pairs = _FIELD.findall(fields[0])
    return (
        _flaw_of_names(text[0], [name for name, _ in _TAG.findall(series["tags"]) + pairs])
        or _flaw_of_numbers(value for _, value in pairs)
        or _flaw_of_time(text[fields.end() + 1 :])
    )


def _flaw_of_names(first: str, names: Sequence[str]) -> str:
    if not all(char.isalnum() for char in (first, *(name[0] for name in names))):
        return "has a name that begins with neither a letter nor a digit"
    if "time" in names:
        return "has a tag or a field called time, which is reserved"
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    return f"has the name {twice} twice" if twice else ""


def _flaw_of_numbers(values: Iterable[str]) -> str:
    for value in values:
        if value[0] in '"tTfF':
            continue
        if value[-1] in "iu":
            low, high = (-_INTEGER_MAX, _INTEGER_MAX) if value[-1] == "i" else (0, 2**64 - 1)
            good = len(value) <= len(str(2**64)) + 1 and low <= int(value[:-1]) <= high
        else:
            good = isfinite(float(value))
        if not good:
            return f"has a number that is too large: {value[:40]}"
    return ""


def _flaw_of_time(text: str) -> str:
    if not text:
        return "has no time at its end"
    if not _TIME.fullmatch(text) or int(text) > TIME_MAX_NS:
        return "does not end in a time: an integer, nanoseconds since 1970"
    return "has a time before the year 2000" if is_since_boot(int(text)) else ""


def _name(name: str, taken: Iterable[str]) -> str:
    """A name no version reserves: `_id` becomes `id_`, `time` becomes `time_`."""
    cleaned = _clean(name)
    first = next((i for i, char in enumerate(cleaned) if char.isalnum()), len(cleaned))
    bare = _bounded(cleaned[first:], NAME_CHARS_MAX) or "unnamed"
    if first or bare == "time":
        bare += "_"
    while bare in taken:
        bare += "_"
    return bare


def _clean(text: str) -> str:
    encodable = text.encode("utf-8", "replace").decode()
    return _CONTROL.sub(" ", encodable).replace("\\", "/").strip()


def _bounded(text: str, limit: int) -> str:
    """Cut an overlong text; a checksum keeps two that begin alike apart."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - 9]}~{blake2s(text.encode(), digest_size=4).hexdigest()}"
