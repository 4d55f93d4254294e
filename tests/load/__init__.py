"""Longer runs than the suite's, by hand: `python -m tests.load --help`.

Each starts a gateway, a broker and a database of its own on free ports, and needs the packages of
the extra `test`. They measure: run them on a machine that does nothing else.
"""

import os
import tty
from collections.abc import Mapping
from contextlib import ExitStack

NAME_WIDTH = 44


def table(rows: Mapping[str, str]) -> list[str]:
    """Lines of names and values."""
    return [f"{name:{NAME_WIDTH}}{value}" for name, value in rows.items()]


def pseudo_terminal(stack: ExitStack) -> tuple[int, str]:
    """The device's end, which never waits, and the path of the gateway's."""
    master, slave = os.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    os.close(slave)
    os.set_blocking(master, False)
    stack.callback(os.close, master)
    return master, path
