"""The tree of a pattern -> a program for many threads (Thompson's construction).

A thread stands at an instruction. `Consume` takes it over one character; all others cost none.
`Split` makes two threads of one, the first of which is preferred.

Limit: PROGRAM_MAX instructions, so that counted repetitions within each other cannot multiply
without end. The parts of a repetition are counted even where they make no instruction.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from gateway.patterns.syntax import Anchor, Chain, Choice, Group, Node, Repeat, Set

PROGRAM_MAX: Final = 1_000
"""A line of ten numbers with their names takes a hundred to two hundred."""


class Consume(NamedTuple):
    characters: Set


class Split(NamedTuple):
    first: int
    second: int


class Jump(NamedTuple):
    target: int


class Save(NamedTuple):
    """The position becomes the beginning (even slots) or end (odd ones) of a group."""

    slot: int


class AtStart(NamedTuple):
    """Go on at the beginning of the text only."""


class AtEnd(NamedTuple):
    """Wait for the end of the text."""


class Match(NamedTuple):
    """The pattern is found."""


Instruction: TypeAlias = Consume | Split | Jump | Save | AtStart | AtEnd | Match


class Program(NamedTuple):
    """Instructions, and the names of the groups in the order of their slots."""

    code: Sequence[Instruction]
    names: Sequence[str]


def compile_tree(tree: Node) -> Program:
    """A program that finds the pattern anywhere; raises ValueError where it becomes too large."""
    compiler = _Compiler()
    anywhere = Repeat(Set((), negated=True), 0, None, lazy=True)
    compiler.add(Chain((anywhere, tree)))
    compiler.emit(Match())
    return Program(tuple(compiler.code), tuple(compiler.names))


class _Compiler:
    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self.names: list[str] = []
        self._parts = 0

    def emit(self, instruction: Instruction) -> int:
        """Add an instruction, and say where it is."""
        self.code.append(instruction)
        return len(self.code) - 1

    def add(self, node: Node) -> None:
        """Add what finds the node and goes on behind itself."""
        self._parts += 1
        if max(self._parts, len(self.code)) > PROGRAM_MAX:
            raise ValueError("it is too large: counted repetitions multiply what they repeat")
        match node:
            case Set():
                self.emit(Consume(node))
            case Chain(parts):
                for part in parts:
                    self.add(part)
            case Choice(options):
                self._choice(options)
            case Repeat(part, least, None, lazy):
                self._unbounded(part, least, lazy=lazy)
            case Repeat(part, least, most, lazy):
                self._bounded(part, least, most or 0, lazy=lazy)
            case Group(name, part):
                self._group(name, part)
            case Anchor(at_end):
                self.emit(AtEnd() if at_end else AtStart())

    def _choice(self, options: Sequence[Node]) -> None:
        jumps = []
        for option in options[:-1]:
            split = self.emit(Jump(0))
            self.add(option)
            jumps.append(self.emit(Jump(0)))
            self.code[split] = Split(split + 1, len(self.code))
        self.add(options[-1])
        for jump in jumps:
            self.code[jump] = Jump(len(self.code))

    def _unbounded(self, part: Node, least: int, *, lazy: bool) -> None:
        for _ in range(least - 1):
            self.add(part)
        if least:
            again = len(self.code)
            self.add(part)
            self.emit(_fork(again, len(self.code) + 1, lazy=lazy))
            return
        split = self.emit(Jump(0))
        self.add(part)
        self.emit(Jump(split))
        self.code[split] = _fork(split + 1, len(self.code), lazy=lazy)

    def _bounded(self, part: Node, least: int, most: int, *, lazy: bool) -> None:
        for _ in range(least):
            self.add(part)
        splits = []
        for _ in range(most - least):
            splits.append(self.emit(Jump(0)))
            self.add(part)
        for split in splits:
            self.code[split] = _fork(split + 1, len(self.code), lazy=lazy)

    def _group(self, name: str, part: Node) -> None:
        """A group within a repetition is compiled several times, and is one all the same."""
        if name not in self.names:
            self.names.append(name)
        slot = 2 * self.names.index(name)
        self.emit(Save(slot))
        self.add(part)
        self.emit(Save(slot + 1))


def _fork(more: int, done: int, *, lazy: bool) -> Split:
    return Split(done, more) if lazy else Split(more, done)
