"""Crashes: what was reported as committed is there, and of the rest whole groups or nothing."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.model import Group
from tests.spool.conftest import OpenSpool
from tests.spool.test_store import assert_balanced, lines, read_all

WRITER = """
import sys
from pathlib import Path
from gateway.model import Group
from gateway.spool.store import Spool
spool = Spool.open(Path(sys.argv[1]), max_bytes=2**31, min_free=0, now_ns=lambda: 1)
number = spool.totals().spooled
while True:
    rows = [b"m v=%d " % n + b"x" * 400 for n in range(number, number + 50)]
    pair = (number % 65536, number.to_bytes(8, "big"))
    spool.commit(Group(rows=rows, seen={"s": [pair]}))
    number += 50
    print(number, flush=True)
"""


def commit_until_killed(path: Path, commits: int) -> int:
    """Lines that the writer had reported when it was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        reported = [int(writer.stdout.readline()) for _ in range(commits)]
        os.kill(writer.pid, signal.SIGKILL)
        reported += [int(line) for line in writer.stdout if line.endswith(b"\n")]
    return reported[-1]


@pytest.mark.integration
def test_everything_reported_as_committed_survives_kill_9(
    open_spool: OpenSpool, tmp_path: Path
) -> None:
    rng = random.Random(1)
    path = tmp_path / "spool.db"
    for _ in range(6):
        reported = commit_until_killed(path, rng.randrange(1, 60))
        spool = open_spool(path)
        numbers = [int(line.split(b"=")[1].split()[0]) for line in read_all(spool)]
        assert numbers == list(range(len(numbers))), "in order, whole, none twice"
        assert len(numbers) >= reported
        assert len(numbers) % 50 == 0, "whole groups"
        assert len(spool.seen("s")) == len(numbers) // 50
        assert spool.warnings == []
        assert_balanced(spool)
        spool.close()


def test_a_log_cut_at_any_length_holds_whole_groups_in_order(
    open_spool: OpenSpool, tmp_path: Path
) -> None:
    spool = open_spool()
    spool.close()
    spool = open_spool()
    for n in range(10):
        spool.commit(Group(rows=lines(n * 10, n * 10 + 9, size=300)))
    log = Path(f"{spool.path}-wal").read_bytes()
    survivors = set()
    for cut in range(0, len(log) + 1, 1361):
        copy = tmp_path / str(cut) / "spool.db"
        copy.parent.mkdir()
        shutil.copy(spool.path, copy)
        Path(f"{copy}-wal").write_bytes(log[:cut])
        after_crash = open_spool(copy)
        found = read_all(after_crash)
        assert found == lines(0, len(found) - 1, size=300)
        assert len(found) % 10 == 0
        assert after_crash.warnings == []
        assert_balanced(after_crash)
        after_crash.close()
        survivors.add(len(found))
    assert survivors >= set(range(0, 100, 10))
