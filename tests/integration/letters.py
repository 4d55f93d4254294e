"""Commands about dead letters in processes of their own, and spools that have some."""

import subprocess
import sys
import urllib.request
from typing import NamedTuple

from gateway.model import DeadLetter, Group
from gateway.spool.store import Spool
from tests.integration.influxd import Influxd
from tests.integration.rig import DATABASE, GATEWAY, GatewayProcess
from tests.spool.test_desk import T0_NS

COMMAND_S = 60.0


class Said(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


def run(gateway: GatewayProcess, *arguments: str) -> Said:
    """A command in a process of its own, without a terminal."""
    done = subprocess.run(
        [sys.executable, *GATEWAY, *arguments, "--config", str(gateway.config)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=COMMAND_S,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


def fill(gateway: GatewayProcess, dead: list[DeadLetter], pending: list[bytes]) -> None:
    spool = Spool.open(
        gateway.data_dir / "spool.db", max_bytes=2**31, min_free=0, now_ns=lambda: T0_NS
    )
    for start in range(0, len(dead), 10_000):
        part = dead[start : start + 10_000]
        spool.commit(Group(rows=[letter.line for letter in part]))
        batch = spool.read(2**40, 2**40, newest=False)
        assert batch is not None
        spool.settle(batch.rows, 0, part)
    spool.commit(Group(rows=pending))
    spool.close()


def refused(lines: list[bytes], message: str = "field type conflict") -> list[DeadLetter]:
    return [DeadLetter(line, 400, message) for line in lines]


def write(influxd: Influxd, line: str) -> None:
    """Another program writes into the same database."""
    url = f"{influxd.url}/write?db={DATABASE}&precision=ns"
    with urllib.request.urlopen(url, line.encode(), COMMAND_S) as answer:  # noqa: S310
        assert answer.status == 204
