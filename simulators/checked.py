"""Reading a TOML table with all its mistakes at once.

A `Table` hands out typed values by key and notes every mistake with its path, what was found and
what is allowed, in a list shared by all tables of a document. A wrong value is replaced by a
harmless one so that reading goes on; the caller looks at the list before it uses anything. `close`
reports the keys that nobody asked for.
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from typing import cast

UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")
VARIABLE = re.compile(r"\$\{([^}]*)\}")


class Table:
    """One table of a document."""

    def __init__(self, content: Mapping[str, object], path: str, errors: list[str]) -> None:
        """Read from `content`, which stands at `path`."""
        self._content = content
        self._path = path
        self._errors = errors
        self._asked: set[str] = set()

    def wrong(self, key: str, message: str) -> None:
        """Note a mistake at a key."""
        self._errors.append(f"{self.at(key)}: {message}")

    def at(self, key: str) -> str:
        """Return the path of a key."""
        return f"{self._path}.{key}" if self._path else key

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._content

    @property
    def names(self) -> list[str]:
        """Return all keys, for tables whose keys are free."""
        return list(self._content)

    def raw(self, key: str) -> object:
        """Return whatever stands at the key."""
        self._asked.add(key)
        return self._content.get(key)

    def text(self, key: str, default: str | None = None, choices: Iterable[str] = ()) -> str:
        """Return a string: there must be one unless there is a default."""
        value = self.raw(key)
        allowed = tuple(map(str, choices))
        if value is None:
            if default is None:
                self.wrong(key, "missing")
            return default or (allowed[0] if allowed else "")
        if not isinstance(value, str):
            self.wrong(key, f"found {value!r}, expected a string")
            return default or (allowed[0] if allowed else "")
        if allowed and value not in allowed:
            self.wrong(
                key, f"found {value!r}, allowed: {', '.join(allowed)}{nearest(value, allowed)}"
            )
            return default or allowed[0]
        return self._expanded(key, value)

    def _expanded(self, key: str, value: str) -> str:
        for name in VARIABLE.findall(value):
            if name in os.environ:
                value = value.replace("${" + name + "}", os.environ[name])
            else:
                self.wrong(key, f"the environment variable {name!r} is not set")
        return value

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of strings."""
        value = self.raw(key)
        if value is None:
            return default
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(each, str) for each in value)
        ):
            self.wrong(key, f"found {value!r}, expected a list of strings")
            return default
        return tuple(self._expanded(key, each) for each in value)

    def integer(
        self, key: str, default: int | None, low: int = 0, high: int = 2**63 - 1
    ) -> int | None:
        """Return a whole number within its range."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.wrong(key, f"found {value!r}, expected a whole number from {low} to {high}")
            return default
        return value

    def whole(self, key: str, default: int, low: int = 0, high: int = 2**63 - 1) -> int:
        """Return a whole number within its range; there is always one."""
        value = self.integer(key, default, low, high)
        return default if value is None else value

    def share(self, key: str) -> float:
        """Return a number from 0 to 1."""
        value = self.raw(key)
        if value is None:
            return 0.0
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            self.wrong(key, f"found {value!r}, expected a number from 0 to 1")
            return 0.0
        return float(value)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return true or false."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(key, f"found {value!r}, expected true or false")
            return default
        return value

    def seconds(self, key: str, default: float, *, positive: bool = False) -> float:
        """Return a duration such as "500ms", in seconds."""
        value = self.raw(key)
        if value is None:
            return default
        found = duration(value) if isinstance(value, str) else None
        if found is None or (positive and found <= 0.0):
            least = " above nought" if positive else ""
            self.wrong(
                key, f'found {value!r}, expected a duration{least} such as "500ms", "10s" or "2min"'
            )
            return default
        return found

    def table(self, key: str) -> "Table":
        """Return the table below a key, an empty one if there is none."""
        value = self.raw(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, f"found {value!r}, expected a table")
        content = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        return Table(content, self.at(key), self._errors)

    def tables(self, key: str) -> list["Table"]:
        """Return the tables of an array of tables."""
        value = self.raw(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self.wrong(key, f"expected tables, each under its own [[{self.at(key)}]]")
            return []
        contents = cast("list[dict[str, object]]", value)
        return [
            Table(each, f"{self.at(key)}[{index}]", self._errors)
            for index, each in enumerate(contents)
        ]

    def close(self) -> None:
        """Report unknown keys."""
        for key in self._content:
            if key not in self._asked:
                known = sorted(map(str, self._asked))
                self.wrong(
                    key, f"unknown key{nearest(key, known) or '; known: ' + ', '.join(known)}"
                )


def duration(text: str) -> float | None:
    """Return a duration in seconds, or None if the text is none."""
    match = DURATION.fullmatch(text)
    if match is None or match[2] not in UNITS_S:
        return None
    return float(match[1]) * UNITS_S[match[2]]


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a suggestion to append to a message, or nothing."""
    close = difflib.get_close_matches(word, map(str, known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
