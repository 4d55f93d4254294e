"""Random generators that depend on a seed and a name only.

Every consumer of chance asks for its own generator by name, so adding a device or a fault to a
scenario leaves the bytes of all the others as they were.
"""

import hashlib
import random


def generator(seed: int, *names: str) -> random.Random:
    """Return the generator that belongs to these names under this seed."""
    text = "\0".join((str(seed), *names)).encode()
    digest = hashlib.sha256(text).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))
