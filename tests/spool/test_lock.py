import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import DataDirBusyError, StoreError
from gateway.spool.lock import DataDir

HOLD = """
import sys
from pathlib import Path
from gateway.spool.lock import DataDir
with DataDir(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_with_the_holders_number_until_the_first_is_killed(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        for _ in range(2):
            with pytest.raises(DataDirBusyError, match=f"process {holder.pid}") as refusal:
                DataDir(tmp_path)
        assert str(tmp_path) in str(refusal.value)
        os.kill(holder.pid, signal.SIGKILL)
    with DataDir(tmp_path):
        assert (tmp_path / "lock").read_text().strip() == str(os.getpid())


def test_the_lock_is_free_after_closing_and_the_directory_is_made(tmp_path: Path) -> None:
    path = tmp_path / "var" / "lib"
    held = DataDir(path)
    with pytest.raises(DataDirBusyError):
        DataDir(path)
    held.close()
    held.close()
    with DataDir(path):
        pass


def test_a_directory_that_cannot_be_made_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=f"data directory {tmp_path}/file/x: Not a directory"):
        DataDir(tmp_path / "file" / "x")
