"""Regular expressions for the operator's patterns: no pattern takes more than linear time.

Python's `re` goes back and tries again: `(a+)+$` on forty characters takes it hours. Here a pattern
is a program (`program`) whose threads all go over the text side by side, in order of preference
(Pike's machine). The threads alive are a state. What a character makes of a state is always the
same, so it is worked out once and remembered: a text then costs a look-up per character. Each
thread knows which one it came from, so that from the winner the way back tells where the groups
began and ended. What is found, and with which groups, is what Python's `re` says; but a group that
is repeated and may be empty has the text of its last passage that was not.

Limits: STEPS_MAX instructions are looked at for one text, whatever the pattern; KEPT_MAX threads
are remembered, then everything is worked out anew. Compared with re2: docs/decisions/0005.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from gateway.model import Reason
from gateway.patterns.program import (
    AtEnd,
    AtStart,
    Consume,
    Jump,
    Match,
    Save,
    Split,
    compile_tree,
)
from gateway.patterns.syntax import parse

STEPS_MAX: Final = 20_000
"""Some 30 ms; patterns for real lines take some hundred, and those only once."""

KEPT_MAX: Final = 20_000

_END: Final = ""
"""Stands for a character behind the last one."""


class _State:
    """The instructions at which threads wait, the preferred one first."""

    __slots__ = ("edges", "matched", "waiting")

    def __init__(self, waiting: tuple[int, ...], *, matched: bool) -> None:
        self.waiting = waiting
        self.matched = matched
        """The last thread has found the pattern; those before it may find a better one."""
        self.edges: dict[str, _Edge] = {}


class _Edge(NamedTuple):
    """What a character makes of a state."""

    state: _State
    origins: Sequence[int]
    """By thread of the new state: which one of the old state it was."""
    saves: Sequence[tuple[int, ...]]
    """By thread of the new state: the slots it has passed."""


class Pattern:
    """A pattern that is searched for in many texts; raises ValueError where it is wrong."""

    def __init__(self, text: str) -> None:
        program = compile_tree(parse(text))
        self.names = tuple(program.names)
        self.steps = 0
        """Instructions looked at so far."""
        self._code = program.code
        self._states: dict[tuple[int, ...], _State] = {}
        self._kept = 0
        self._begin = self._edge([(0, 0)], at_start=True)

    def search(self, text: str) -> dict[str, str] | Reason:
        """The named groups of the first match, those that took part; or why there are none."""
        steps_max = self.steps + STEPS_MAX
        way = [self._begin]
        state = self._begin.state
        found = 1 if state.matched else 0
        for character in text:
            edge = state.edges.get(character)
            if edge is None:
                edge = self._step(state, character)
                if self.steps > steps_max:
                    return Reason.TOO_LARGE
            way.append(edge)
            state = edge.state
            if state.matched:
                found = len(way)
            elif not state.waiting:
                break
        edge = state.edges.get(_END) or self._step(state, _END)
        if edge.state.matched:
            way.append(edge)
            found = len(way)
        return self._groups(text, way[:found]) if found else Reason.SYNTAX

    def _groups(self, text: str, way: Sequence[_Edge]) -> dict[str, str]:
        """Walk back from the match: of several passages of a slot the last one counts."""
        slots: dict[int, int] = {}
        thread = len(way[-1].origins) - 1
        for position in range(len(way) - 1, -1, -1):
            edge = way[position]
            for slot in edge.saves[thread]:
                slots.setdefault(slot, min(position, len(text)))
            thread = edge.origins[thread]
        return {
            name: text[slots[2 * index] : slots[2 * index + 1]]
            for index, name in enumerate(self.names)
            if 2 * index + 1 in slots
        }

    def _step(self, state: _State, character: str) -> _Edge:
        """Work out an edge, and remember it."""
        starts = []
        for thread, at in enumerate(state.waiting):
            self.steps += 1
            instruction = self._code[at]
            if isinstance(instruction, Consume):
                if character and instruction.characters.holds(character):
                    starts.append((at + 1, thread))
            elif isinstance(instruction, AtEnd) and not character:
                starts.append((at + 1, thread))
        edge = self._edge(starts, at_end=not character)
        self._kept += 1 + len(edge.origins)
        state.edges[character] = edge
        return edge

    def _edge(
        self, starts: Sequence[tuple[int, int]], *, at_start: bool = False, at_end: bool = False
    ) -> _Edge:
        """The state after `starts`: instructions to go on at, and whose threads they are."""
        waiting: list[int] = []
        origins: list[int] = []
        saves: list[tuple[int, ...]] = []
        seen: set[int] = set()
        matched = False
        for start, thread in starts:
            for at, passed in self._follow(start, seen, at_start=at_start, at_end=at_end):
                waiting.append(at)
                origins.append(thread)
                saves.append(passed)
                matched = isinstance(self._code[at], Match)
            if matched:
                break
        return _Edge(self._state(tuple(waiting), matched=matched), origins, saves)

    def _follow(
        self, start: int, seen: set[int], *, at_start: bool, at_end: bool
    ) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Where the thread comes to wait and the slots on its way, up to the match."""
        stack: list[tuple[int, tuple[int, ...]]] = [(start, ())]
        while stack:
            at, passed = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            self.steps += 1
            match self._code[at]:
                case Jump(target):
                    stack.append((target, passed))
                case Split(first, second):
                    stack += (second, passed), (first, passed)
                case Save(slot):
                    stack.append((at + 1, (slot, *passed)))
                case AtStart():
                    if at_start:
                        stack.append((at + 1, passed))
                case AtEnd() if at_end:
                    stack.append((at + 1, passed))
                case Match():
                    yield at, passed
                    return
                case _:
                    yield at, passed

    def _state(self, waiting: tuple[int, ...], *, matched: bool) -> _State:
        if self._kept > KEPT_MAX:
            self._kept = 0
            self._states.clear()
            self._begin.state.edges.clear()
        state = self._states.get(waiting)
        if state is None:
            state = self._states[waiting] = _State(waiting, matched=matched)
        return state
