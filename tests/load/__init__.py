"""Longer runs than the suite's, by hand: `python -m tests.load --help`.

Each starts a gateway, a broker and a database of its own on free ports, and needs the packages of
the extra `test`. They measure: run them on a machine that does nothing else.
"""

from collections.abc import Mapping

NAME_WIDTH = 44


def table(rows: Mapping[str, str]) -> list[str]:
    """Lines of names and values."""
    return [f"{name:{NAME_WIDTH}}{value}" for name, value in rows.items()]
