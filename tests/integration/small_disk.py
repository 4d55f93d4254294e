"""A small file system that can be full to the last byte, and a program that cannot write."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1024 * 1024
PAGE = 4096


class SmallDisk:
    """A mounted tmpfs, and a file of somebody else's in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "somebody-elses-file"

    @property
    def free(self) -> int:
        return shutil.disk_usage(self.path).free

    def fill(self) -> None:
        """Take what is left, to the last byte."""
        with self._ballast.open("ab") as file:
            while free := self.free // PAGE * PAGE:
                os.posix_fallocate(file.fileno(), self._ballast.stat().st_size, free)

    def relieve(self) -> None:
        """Give it back."""
        self._ballast.unlink()


@contextmanager
def small_disk(path: Path, mebibytes: int = 48) -> Iterator[SmallDisk]:
    """Mount it; skips the test where that is not allowed."""
    path.mkdir()
    options = f"size={mebibytes}m,mode=700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(
            f"no small file system ({mounted.stderr.strip()}): run the test as root on Linux, in a"
            " container with --cap-add SYS_ADMIN"
        )
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)  # noqa: S607


@contextmanager
def failing_writes(pid: int) -> Iterator[None]:
    """Every write of the process behind the first page of a file fails (EFBIG)."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (PAGE, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
