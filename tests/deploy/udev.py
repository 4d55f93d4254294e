"""A small reading of udev's rules (udev(7)): enough to see what a file does to a device."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

_TERM = re.compile(r'\s*([A-Z]+)(?:\{([^}]+)\})?\s*(==|!=|\+=|:=|=)\s*"([^"]*)"\s*')

_MATCHES = {"ACTION", "SUBSYSTEM", "KERNEL", "ATTR", "ATTRS", "ENV", "TEST"}
_ASSIGNMENTS = {"GROUP", "MODE", "ENV", "ATTR", "SYMLINK", "GOTO", "LABEL"}


class Term(NamedTuple):
    """`KEY{argument}operator"value"`."""

    key: str
    argument: str
    operator: str
    value: str


@dataclass
class Node:
    """A device, or one of its parents, in /sys."""

    subsystem: str
    kernel: str
    attributes: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What the rules made of a device."""

    owner: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)


def parse(text: str) -> list[list[Term]]:
    """Every rule's terms.

    Raises ValueError on a line that is none.
    """
    return [
        list(_terms(line)) for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"
    ]


def _terms(line: str) -> Iterator[Term]:
    for part in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", line):
        match = _TERM.fullmatch(part)
        if match is None:
            raise ValueError(f"no term of a udev rule: {part}")
        term = Term(match[1], match[2] or "", match[3], match[4])
        allowed = _MATCHES if term.operator in {"==", "!="} else _ASSIGNMENTS
        if term.key not in allowed:
            raise ValueError(f"{term.key} does not go with {term.operator}")
        yield term


def apply(rules: Sequence[Sequence[Term]], chain: Sequence[Node], action: str = "add") -> Outcome:
    """What the rules do to the first of the chain, whose parents follow it."""
    outcome = Outcome()
    goto = ""
    for rule in rules:
        labels = [term.value for term in rule if term.key == "LABEL"]
        if goto:
            goto = "" if goto in labels else goto
            continue
        conditions = [term for term in rule if term.operator in {"==", "!="}]
        if not _matches(conditions, chain, action):
            continue
        for term in rule:
            if term.key == "GOTO":
                goto = term.value
            elif term.operator not in {"==", "!="}:
                _assign(term, outcome)
    if goto:
        raise ValueError(f"no label {goto}")
    return outcome


def _matches(conditions: Sequence[Term], chain: Sequence[Node], action: str) -> bool:
    node = chain[0]
    for term in conditions:
        match term.key:
            case "ATTRS":
                continue
            case "TEST":
                held = term.value in node.attributes
            case "ACTION":
                held = _like(action, term.value)
            case "SUBSYSTEM":
                held = _like(node.subsystem, term.value)
            case "KERNEL":
                held = _like(node.kernel, term.value)
            case "ATTR":
                held = _like(node.attributes.get(term.argument), term.value)
            case _:
                held = _like(node.properties.get(term.argument, ""), term.value)
        if held is (term.operator == "!="):
            return False
    # All ATTRS of a rule are looked for in one and the same device.
    wanted = {term.argument: term.value for term in conditions if term.key == "ATTRS"}
    return not wanted or any(_has(each.attributes, wanted) for each in chain)


def _has(attributes: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(_like(attributes.get(name), pattern) for name, pattern in wanted.items())


def _like(value: str | None, pattern: str) -> bool:
    return value is not None and any(fnmatchcase(value, one) for one in pattern.split("|"))


def _assign(term: Term, outcome: Outcome) -> None:
    match term.key:
        case "GROUP" | "MODE":
            outcome.owner[term.key] = term.value
        case "ENV":
            outcome.properties[term.argument] = term.value
        case "ATTR":
            outcome.attributes[term.argument] = term.value
        case "SYMLINK":
            outcome.links.append(term.value)
