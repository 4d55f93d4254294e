from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.console.rig import Rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A gateway with a spool in a directory of the test's own."""
    made = Rig(tmp_path)
    yield made
    made.close()
