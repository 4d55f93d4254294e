"""Amounts as people write them: a number with its unit, such as "10s" or "1.5 GiB".

Each scale turns the text into its smallest terms or raises ValueError with words that say what is
allowed. The words never repeat the value: it may be a secret, or come from the environment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_READABLE: Final = 100_000
"""Below it, "%g" writes a number as a person does."""

_AMOUNT: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)")


@dataclass(frozen=True, slots=True)
class Scale:
    """The units of one kind of amount, each with its factor."""

    noun: str
    hint: str
    """The unit that a bare number most likely was meant in."""
    units: Mapping[str, Decimal]

    def read(self, value: object, least: str, most: str) -> Decimal:
        """The amount in the unit whose factor is one; raises ValueError outside of the bounds."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = f"{value:g}" if 0 <= value < _READABLE else "10"
            raise ValueError(f'write a unit: "{number}{self.hint}"')  # noqa: TRY004 -- pydantic
        found = self._parse(value)
        if found is None:
            raise ValueError(f"allowed: {self.words(least, most)}; units: {', '.join(self.units)}")
        if not self._bound(least) <= found <= self._bound(most):
            raise ValueError(f"allowed: {self.words(least, most)}")
        return found

    def words(self, least: str, most: str) -> str:
        """What is allowed."""
        return f'{self.noun} from "{least}" to "{most}"'

    def pattern(self) -> str:
        """A regular expression that every amount fits."""
        return rf"^[0-9]+(\.[0-9]+)? ?({'|'.join(self.units)})$"

    def _bound(self, text: str) -> Decimal:
        bound = self._parse(text)
        assert bound is not None  # noqa: S101 -- written by a programmer
        return bound

    def _parse(self, value: object) -> Decimal | None:
        match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
        if match is None or match[2] not in self.units:
            return None
        return Decimal(match[1]) * self.units[match[2]]


DURATIONS: Final = Scale(
    noun="a duration",
    hint="s",
    units={
        "ms": Decimal("0.001"),
        "s": Decimal(1),
        "min": Decimal(60),
        "h": Decimal(3_600),
        "d": Decimal(86_400),
    },
)


def seconds(text: object, least: str, most: str) -> float:
    """Read "1.5s" as 1.5; raise ValueError where `text` is no duration between the two others."""
    return float(DURATIONS.read(text, least, most))
