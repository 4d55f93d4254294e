"""A mark for tests that load the machine.

Where tests run in several processes these run in one of them, one after the other. What also
measures time is marked `alone` instead, and runs when no other test does.
"""

import pytest

HEAVY = pytest.mark.xdist_group("heavy")
