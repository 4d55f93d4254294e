from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.spool.store import Spool
from tests.spool.wreck import Wreck, make

OpenSpool = Callable[..., Spool]


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[OpenSpool]:
    """Opens `spool.db` in a directory of the test's own, and closes it in the end."""
    opened: list[Spool] = []

    def open_(
        path: Path = tmp_path / "spool.db",
        max_bytes: int = 2**31,
        min_free: int = 0,
        boot: str = "first boot",
    ) -> Spool:
        spool = Spool.open(
            path, max_bytes=max_bytes, min_free=min_free, now_ns=lambda: 1_700, boot=boot
        )
        opened.append(spool)
        return spool

    yield open_
    for spool in opened:
        spool.close()


@pytest.fixture(scope="session")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Wreck:
    """A spool that was closed."""
    return make(tmp_path_factory.mktemp("one_file"), checkpoint_after=None)


@pytest.fixture(scope="session")
def with_log(tmp_path_factory: pytest.TempPathFactory) -> Wreck:
    """A spool whose gateway was killed."""
    return make(tmp_path_factory.mktemp("with_log"), checkpoint_after=350)
