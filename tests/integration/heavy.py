"""A mark for tests that load the machine, or measure time on it.

Where tests run in several processes these run in one of them, one after the other: none shares the
machine with another of its kind.
"""

import pytest

HEAVY = pytest.mark.xdist_group("heavy")
