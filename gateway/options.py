"""Options of decoders that are tables: typed values, or every mistake at once.

A `Table` hands out values by key. A mistake is noted with its path, `devices[1].interval`, in a
list that all tables of a decoder share, and a harmless value takes the place of the wrong one, so
that reading goes on. Whoever reads raises ConfigError with the list, if there is anything in it,
before any value is used. The words never repeat what was found: whoever shows them adds it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from gateway.durations import seconds
from gateway.names import label, name
from gateway.nearest import did_you_mean

Value = TypeVar("Value")


class Table:
    """One table of the options."""

    def __init__(self, content: object, path: str, problems: list[str]) -> None:
        self._path = path
        self._problems = problems
        self._known: list[str] = []
        self._content: Mapping[str, object] = content if isinstance(content, dict) else {}
        if not isinstance(content, dict):
            problems.append(f"{path}: allowed: a table")

    def wrong(self, key: str, words: str) -> None:
        """Note what is wrong with a key."""
        self._problems.append(f"{self._at(key)}: {words}")

    def has(self, key: str) -> bool:
        return key in self._content

    def text(self, key: str, default: str | None = None, rule: Callable[[str], str] = label) -> str:
        """A text by a rule of `gateway.names`; without a default there must be one."""

        def read(value: object) -> str:
            if not isinstance(value, str):
                raise ValueError("allowed: text")  # noqa: TRY004 -- caught below
            return rule(value)

        return self._read(key, default, "", read)

    def choice(self, key: str, names: Iterable[str], what: str, default: str) -> str:
        """One of the names that are known."""
        known = tuple(names)

        def read(value: object) -> str:
            if value not in known:
                hint = did_you_mean(value, known) if isinstance(value, str) else ""
                raise ValueError(f"no such {what}{hint or '; known: ' + ', '.join(known)}")
            return str(value)

        return self._read(key, default, default, read)

    def whole(self, key: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number within bounds; without a default there must be one."""

        def read(value: object) -> int:
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"allowed: a whole number from {least} to {most}")
            return value

        return self._read(key, default, least, read)

    def wholes(self, key: str) -> tuple[int, ...]:
        """A whole number or a list of them; none by default."""

        def read(value: object) -> tuple[int, ...]:
            values = value if isinstance(value, list) else [value]
            if any(isinstance(each, bool) or not isinstance(each, int) for each in values):
                raise ValueError("allowed: a whole number or a list of them")
            return tuple(values)

        return self._read(key, (), (), read)

    def number(self, key: str, most: float, default: float) -> float:
        """A number between its negative and `most`."""

        def read(value: object) -> float:
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise ValueError("allowed: a number")  # noqa: TRY004 -- caught below
            if not abs(value) <= most:
                raise ValueError(f"allowed: a number from {-most:g} to {most:g}")
            return float(value)

        return self._read(key, default, default, read)

    def flag(self, key: str) -> bool:
        """True or false, which is the default."""

        def read(value: object) -> bool:
            if not isinstance(value, bool):
                raise ValueError("allowed: true or false")  # noqa: TRY004 -- caught below
            return value

        return self._read(key, False, False, read)  # noqa: FBT003 -- values

    def seconds(self, key: str, least: str, most: str, default: str) -> float:
        """A duration such as "1.5s"."""
        preset = seconds(default, least, most)
        return self._read(key, preset, preset, lambda value: seconds(value, least, most))

    def tables(self, key: str) -> "list[Table]":
        """A list of tables; none by default."""
        value = self._raw(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(key, "allowed: a list of tables")
            return []
        return [
            Table(each, f"{self._at(key)}[{number}]", self._problems)
            for number, each in enumerate(value)
        ]

    def tags(self, key: str) -> dict[str, str]:
        """A table of tags; none by default."""
        if not self.has(key):
            return {}
        table = Table(self._raw(key), self._at(key), self._problems)
        tags = {tag: table.text(tag) for tag in table._content}
        for tag in tags:
            try:
                name(tag)
            except ValueError as error:
                table.wrong(tag, str(error))
        return tags

    def close(self) -> None:
        """Note the keys that nobody asked for."""
        for key in self._content:
            if key not in self._known:
                self.wrong(key, f"unknown key{did_you_mean(key, self._known)}")

    def _at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def _raw(self, key: str) -> object:
        self._known.append(key)
        return self._content.get(key)

    def _read(
        self, key: str, default: Value | None, instead: Value, read: Callable[[object], Value]
    ) -> Value:
        value = self._raw(key)
        if value is None:
            if default is None:
                self.wrong(key, "missing")
            return instead if default is None else default
        try:
            return read(value)
        except ValueError as error:
            self.wrong(key, str(error))
            return instead
