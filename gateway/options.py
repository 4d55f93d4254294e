"""Options of decoders that are tables: read key by key, with everything that is wrong noted.

A constructor reads all of its options and then raises what `Problems` has gathered, so that whoever
wrote them sees all mistakes at once:

    values[0].type: no such type "int61"; did you mean "int16"?
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from gateway import durations
from gateway.errors import ConfigError
from gateway.names import label, name
from gateway.nearest import did_you_mean
from gateway.quantities.units import find_unit, spellings

_ENTRIES_MAX: Final = 256


class Problems:
    """What is wrong with the options."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def add(self, path: str, words: str) -> None:
        self.sentences.append(f"{path}: {words}")

    def check(self) -> None:
        """Raise ConfigError where there is any."""
        if self.sentences:
            raise ConfigError(self.sentences)


class Table:
    """A table; where a value is wrong it is noted, and the default is used."""

    def __init__(self, content: object, path: str, problems: Problems) -> None:
        """`path` leads to the table; it is empty for the options themselves."""
        self._content: Mapping[str, object] = content if isinstance(content, dict) else {}
        self._path = path
        self.problems = problems
        self._read: set[str] = set()
        if not isinstance(content, dict):
            problems.add(path, "a table is expected, such as { at = 2 }")

    def path(self, key: str) -> str:
        """Where the key's value stands."""
        return f"{self._path}.{key}" if self._path else key

    def wrong(self, key: str, words: str) -> None:
        """Note that something is wrong with the key's value."""
        self.problems.add(self.path(key), words)

    def has(self, key: str) -> bool:
        return key in self._content

    def holds_table(self, key: str) -> bool:
        """Whether the key's value is a table, where it may be one or something else."""
        return isinstance(self._content.get(key), dict)

    def text(self, key: str, default: str | None = "") -> str:
        """A text that is not empty; the default None makes it a must."""
        value = self._value(key, default)
        if isinstance(value, str) and (value or not self.has(key)):
            return value
        self._expected(key, "a text")
        return default or ""

    def named(self, key: str, default: str | None, rule: Callable[[str], str] = label) -> str:
        """A text by a rule of `gateway.names`; the default None makes it a must."""
        text = self.text(key, default)
        if text and self.has(key):
            try:
                rule(text)
            except ValueError as error:
                self.wrong(key, str(error))
        return text

    def tags(self, key: str) -> dict[str, str]:
        """A table of tags; none where the key is absent."""
        table = self.table(key)
        content = self._content.get(key)
        found = {}
        for tag in content if isinstance(content, dict) else ():
            try:
                found[name(tag)] = table.named(tag, None)
            except ValueError as error:
                table.wrong(tag, str(error))
        return found

    def choice(self, key: str, known: Iterable[str], default: str | None) -> str:
        """One of the known words."""
        words = list(known)
        value = self._value(key, default)
        if isinstance(value, str) and value in words:
            return value
        if isinstance(value, str):
            self.wrong(key, f'no such {key} "{value}"{did_you_mean(value, words)}')
        else:
            self._expected(key, f"one of {', '.join(words)}")
        return default or words[0]

    def unit(self, key: str) -> str:
        """A unit that is known, in any spelling; none where the key is absent."""
        text = self.text(key)
        if text and find_unit(text) is None:
            known = (spelling for spelling, _ in spellings())
            self.wrong(key, f'no such unit "{text}"{did_you_mean(text, known)}')
        return text

    def whole(self, key: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number."""
        value = self._value(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self._expected(key, f"a whole number from {least} to {most}")
        return least if default is None else default

    def wholes(self, key: str) -> tuple[int, ...]:
        """A whole number or a list of them; none where the key is absent."""
        value = self._value(key, [])
        values = value if isinstance(value, list) else [value]
        if any(isinstance(each, bool) or not isinstance(each, int) for each in values):
            self._expected(key, "a whole number or a list of them")
            return ()
        return tuple(values)

    def seconds(self, key: str, least: str, most: str, default: str) -> float:
        """A duration such as "1.5s"."""
        try:
            return durations.seconds(self._value(key, default), least, most)
        except ValueError as error:
            self.wrong(key, str(error))
            return durations.seconds(default, least, most)

    def number(self, key: str, default: float) -> float:
        """Any number that is finite."""
        value = self._value(key, default)
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return number
        self._expected(key, "a number")
        return default

    def flag(self, key: str) -> bool:
        """`true`, or `false` where it is absent."""
        value = self._value(key, default=False)
        if isinstance(value, bool):
            return value
        self._expected(key, "true or false")
        return False

    def octets(self, key: str) -> bytes:
        """Bytes in hexadecimal digits, such as "AA 55"; none where the key is absent."""
        value = self._value(key, "")
        if isinstance(value, str):
            try:
                found = bytes.fromhex(value)
            except ValueError:
                found = b""
            if found or not self.has(key):
                return found
        self._expected(key, 'bytes in hexadecimal digits, such as "AA 55"')
        return b""

    def table(self, key: str) -> "Table":
        """A table within this one."""
        return Table(self._value(key, {}), self.path(key), self.problems)

    def tables(self, key: str) -> list["Table"]:
        """A list of tables that is not empty."""
        value = self._value(key, None)
        if isinstance(value, list) and 0 < len(value) <= _ENTRIES_MAX:
            path = self.path(key)
            found = [Table(v, f"{path}[{i}]", self.problems) for i, v in enumerate(value)]
            return [table for table, v in zip(found, value, strict=True) if isinstance(v, dict)]
        self._expected(key, f"a list of 1 to {_ENTRIES_MAX} tables")
        return []

    def end(self) -> None:
        """Note the keys that nobody has read."""
        for key in self._content:
            if key not in self._read:
                self.wrong(key, f"unknown key{did_you_mean(str(key), sorted(self._read))}")

    def _value(self, key: str, default: object) -> object:
        self._read.add(key)
        return self._content.get(key, default)

    def _expected(self, key: str, what: str) -> None:
        self.wrong(key, f"{what} is expected" if self.has(key) else f"missing; {what} is expected")
