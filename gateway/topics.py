"""Topic patterns: which messages a subscription takes, and what their topics say.

A pattern is an MQTT topic filter in which a level may also be a placeholder: `{name}` matches
exactly one level, as `+` does, and hands out what stood there. A placeholder is a whole level:
MQTT has no filter for a part of one, so `sensor-{id}` could only be had by subscribing to
everything beside it. `$share/GROUP/` in front is for the broker alone, matching ignores it.

Topics are few and come again, so a router remembers where each one goes: a message costs one look
into a dictionary. Limits: 10,000 topics of up to 256 characters, the least recently used goes
first; longer ones are matched anew each time.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Generic, NamedTuple, Self, TypeVar

from gateway.model import NOTHING

FILTER_BYTES_MAX = 65_535
"""MQTT counts the length of a filter in two bytes."""

TOPICS_REMEMBERED = 10_000
REMEMBERED_LENGTH_MAX = 256

Target = TypeVar("Target")

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class TopicPattern(NamedTuple):
    """One pattern; `filter` is what to subscribe to."""

    text: str
    filter: str
    levels: tuple[str, ...]
    """The filter's levels, without `$share/GROUP/` and a last `#`."""
    is_open: bool
    """Ends in `#`: whatever follows the levels matches too, and so does nothing."""
    names: Mapping[int, str]
    """The placeholders by level."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern. Raises ValueError with words for whoever wrote it."""
        group, rest = _split_share(text)
        levels = rest.split("/")
        names: dict[int, str] = {}
        for index, level in enumerate(levels):
            placeholder = _PLACEHOLDER.fullmatch(level)
            if placeholder is None:
                _check_level(level, is_last=index == len(levels) - 1)
            elif placeholder[1] in names.values():
                raise ValueError(f"{level} stands twice: each placeholder needs its own name")
            else:
                names[index] = placeholder[1]
                levels[index] = "+"
        topic_filter = group + "/".join(levels)
        if not rest:
            raise ValueError('allowed: a topic such as "sensors/{location}/{device}/state"')
        if "\0" in text or len(topic_filter.encode()) > FILTER_BYTES_MAX:
            raise ValueError(f"allowed: at most {FILTER_BYTES_MAX} bytes, none of them zero")
        is_open = levels[-1] == "#"
        fixed = tuple(levels[:-1] if is_open else levels)
        return cls(text, topic_filter, fixed, is_open, MappingProxyType(names))

    def match(self, topic: str) -> Mapping[str, str] | None:
        """What stood at the placeholders, or None: the topic is another one."""
        levels = topic.split("/")
        fixed = self.levels
        if len(levels) < len(fixed) or (len(levels) > len(fixed) and not self.is_open):
            return None
        if topic.startswith("$") and (not fixed or fixed[0] == "+"):
            return None  # MQTT: no wildcard in the first level reaches $SYS and its like
        if any(want not in ("+", got) for want, got in zip(fixed, levels, strict=False)):
            return None
        if not self.names:
            return NOTHING
        return MappingProxyType({name: levels[index] for index, name in self.names.items()})

    def covers(self, other: Self) -> bool:
        """Whether every topic that the other pattern takes is taken by this one too."""
        if self.filter == other.filter:
            return True
        if self.filter.startswith("$share/") or other.filter.startswith("$share/"):
            return False
        mine, theirs = self.levels, other.levels
        if not self.is_open and (other.is_open or len(mine) != len(theirs)):
            return False
        if theirs and theirs[0].startswith("$") and (not mine or mine[0] == "+"):
            return False  # as in `match`
        if len(mine) > len(theirs):
            return False
        return all(want in ("+", got) for want, got in zip(mine, theirs, strict=False))

    def overlaps(self, other: Self) -> bool:
        """Whether some topic is taken by both, whatever groups share them."""
        short, long = sorted((self, other), key=lambda pattern: len(pattern.levels))
        if len(short.levels) < len(long.levels) and not short.is_open:
            return False
        for one, two in ((short, long), (long, short)):
            is_wild = not one.levels or one.levels[0] == "+"
            if is_wild and two.levels and two.levels[0].startswith("$"):
                return False  # as in `match`
        pairs = zip(short.levels, long.levels, strict=False)
        return all(one == two or "+" in (one, two) for one, two in pairs)


class Router(Generic[Target]):
    """Several patterns, each with its target: the first that matches a topic takes it."""

    def __init__(self, routes: Iterable[tuple[TopicPattern, Target]]) -> None:
        self._routes = tuple(routes)
        self._remembered = lru_cache(TOPICS_REMEMBERED)(self._find)

    def route(self, topic: str) -> tuple[Target, Mapping[str, str]] | None:
        """The target for the topic and what stood at its pattern's placeholders."""
        if len(topic) > REMEMBERED_LENGTH_MAX:
            return self._find(topic)
        return self._remembered(topic)

    def _find(self, topic: str) -> tuple[Target, Mapping[str, str]] | None:
        for pattern, target in self._routes:
            captures = pattern.match(topic)
            if captures is not None:
                return target, captures
        return None


def _split_share(text: str) -> tuple[str, str]:
    """Take `$share/GROUP/` off: a shared subscription, one message to one of the group."""
    if not text.startswith("$share/"):
        return "", text
    group, slash, rest = text.removeprefix("$share/").partition("/")
    if not group or not slash or re.search(r"[+#{}]", group):
        raise ValueError('a shared subscription is "$share/GROUP/TOPIC", GROUP a plain name')
    return f"$share/{group}/", rest


def _check_level(level: str, *, is_last: bool) -> None:
    if level == "#" and not is_last:
        raise ValueError("# matches all that follows: it can only be the last level")
    if level in ("+", "#"):
        return
    if "{" in level or "}" in level:
        raise ValueError(
            f'"{level}": a placeholder is a whole level and a plain name, such as "{{device}}"'
        )
    if "+" in level or "#" in level:
        raise ValueError(f'"{level}": + and # stand for whole levels')
