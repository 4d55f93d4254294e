r"""The text of a pattern -> its tree: the part of Python's regular expressions that is regular.

    abc . [a-z] [^,;] \d \w \s \D \W \S \t \. \xb0 \u00b0      one character each
    ab|cd (?:ab) (ab) (?P<name>ab)                              alternatives and groups
    * + ? {3} {3,} {,5} {3,5}, lazy with a ? behind             repetition
    ^ $                                                         beginning and end of the text

Each means what it means in Python's `re`, but `$` is the very end. Only named groups are kept.
Back-references, look-around, `\b` and flags are refused: they are not regular, or seldom needed
for a line.

Limits: DEPTH_MAX groups within each other, REPEAT_MAX repetitions.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, NoReturn, TypeAlias

DEPTH_MAX: Final = 32
REPEAT_MAX: Final = 1_000


class Set(NamedTuple):
    """One character out of a set."""

    ranges: tuple[tuple[str, str], ...]
    kinds: str = ""
    """Letters of escapes such as `d` for `\\d`."""
    negated: bool = False

    def holds(self, character: str) -> bool:
        """Whether the character is one of the set."""
        found = any(first <= character <= last for first, last in self.ranges) or any(
            _KINDS[kind](character) for kind in self.kinds
        )
        return found is not self.negated


class Chain(NamedTuple):
    """One part after the other."""

    parts: tuple["Node", ...]


class Choice(NamedTuple):
    """One of them; the earlier ones are preferred."""

    options: tuple["Node", ...]


class Repeat(NamedTuple):
    """The same several times; `most` is None where nothing but the text ends it."""

    node: "Node"
    least: int
    most: int | None
    lazy: bool


class Group(NamedTuple):
    """A named part."""

    name: str
    node: "Node"


class Anchor(NamedTuple):
    """No character, but the beginning of the text, or its end."""

    at_end: bool


Node: TypeAlias = Set | Chain | Choice | Repeat | Group | Anchor

_KINDS: Final[Mapping[str, Callable[[str], bool]]] = {
    "d": str.isdecimal,
    "s": str.isspace,
    "w": lambda character: character.isalnum() or character == "_",
    "D": lambda character: not character.isdecimal(),
    "S": lambda character: not character.isspace(),
    "W": lambda character: not (character.isalnum() or character == "_"),
}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}
_HEX_DIGITS: Final = {"x": 2, "u": 4}
_COUNTED: Final = re.compile(r"\{(\d{1,9})\}|\{(\d{0,9}),(\d{0,9})\}", re.ASCII)
_ANY: Final = Set((("\n", "\n"),), negated=True)


def parse(pattern: str) -> Node:
    """The tree of the pattern; raises ValueError with words for whoever wrote it."""
    return _Parser(pattern).parse()


class _Parser:
    """By recursive descent, a character at a time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._names: set[str] = set()

    def parse(self) -> Node:
        tree = self._choice()
        if self._at < len(self._text):
            self._refuse("a ) without its (")
        return tree

    def _choice(self) -> Node:
        options = [self._chain()]
        while self._take("|"):
            options.append(self._chain())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _chain(self) -> Node:
        parts: list[Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return Chain(tuple(parts))

    def _atom(self) -> Node:
        if self._quantifier() is not None:
            self._refuse("nothing to repeat")
        character = self._next()
        match character:
            case "(":
                return self._group()
            case "[":
                return self._set()
            case ".":
                return _ANY
            case "^" | "$":
                return Anchor(at_end=character == "$")
            case "\\":
                return self._escape()
        return _literal(character)

    def _repeated(self, node: Node) -> Node:
        counts = self._quantifier()
        if counts is None:
            return node
        if isinstance(node, Anchor):
            self._refuse("nothing to repeat")
        least, most = counts
        if max(least, most or 0) > REPEAT_MAX:
            self._refuse(f"more than {REPEAT_MAX:,} repetitions")
        if most is not None and most < least:
            self._refuse("more repetitions at least than at most")
        lazy = self._take("?")
        if self._quantifier() is not None:
            self._refuse("a repetition of a repetition: put the inner one in brackets")
        return Repeat(node, least, most, lazy)

    def _quantifier(self) -> tuple[int, int | None] | None:
        """The counts that stand here, which are then behind us; None where there are none."""
        for mark, least, most in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self._take(mark):
                return least, most
        match = _COUNTED.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        if match[1] is not None:
            return int(match[1]), int(match[1])
        return int(match[2] or 0), int(match[3]) if match[3] else None

    def _group(self) -> Node:
        name = self._group_name() if self._take("?") else ""
        self._depth += 1
        if self._depth > DEPTH_MAX:
            self._refuse(f"more than {DEPTH_MAX} groups within each other")
        node = self._choice()
        self._depth -= 1
        if not self._take(")"):
            self._refuse("a ( without its )")
        return Group(name, node) if name else node

    def _group_name(self) -> str:
        if self._take(":"):
            return ""
        if not self._take("P<"):
            self._refuse("of (?...) only (?:...) and (?P<name>...) are known")
        end = self._text.find(">", self._at)
        name = self._text[self._at : end] if end >= 0 else ""
        if not name.isidentifier():
            self._refuse("a group's name is letters, digits and _")
        if name in self._names:
            self._refuse(f"the name {name} stands there twice")
        self._names.add(name)
        self._at = end + 1
        return name

    def _set(self) -> Set:
        negated = self._take("^")
        ranges: list[tuple[str, str]] = []
        kinds = ""
        first = True
        while first or not self._take("]"):
            first = False
            low = self._member()
            if low.kinds:
                kinds += low.kinds
                continue
            begin = end = low.ranges[0][0]
            if self._text[self._at : self._at + 1] == "-" and not self._ahead("-]"):
                self._at += 1
                high = self._member()
                if high.kinds or high.ranges[0][0] < begin:
                    self._refuse("a range that is none")
                end = high.ranges[0][0]
            ranges.append((begin, end))
        return Set(tuple(ranges), kinds, negated)

    def _member(self) -> Set:
        character = self._next()
        return self._escape() if character == "\\" else _literal(character)

    def _escape(self) -> Set:
        letter = self._next()
        if letter in _KINDS:
            return Set((), letter)
        if letter in _CONTROLS:
            return _literal(_CONTROLS[letter])
        if letter in _HEX_DIGITS:
            digits = self._text[self._at : self._at + _HEX_DIGITS[letter]]
            if not re.fullmatch(f"[0-9a-fA-F]{{{_HEX_DIGITS[letter]}}}", digits):
                self._refuse(f"\\{letter} needs {_HEX_DIGITS[letter]} hexadecimal digits")
            self._at += len(digits)
            return _literal(chr(int(digits, 16)))
        if letter.isascii() and letter.isalnum():
            self._refuse(f"\\{letter} is not known here")
        return _literal(letter)

    def _next(self) -> str:
        if self._at == len(self._text):
            self._refuse("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _ahead(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        """Whether the text stands here; it is then behind us."""
        found = self._ahead(text)
        self._at += len(text) * found
        return found

    def _refuse(self, words: str) -> NoReturn:
        raise ValueError(f"at character {self._at}: {words}")


def _literal(character: str) -> Set:
    return Set(((character, character),))
