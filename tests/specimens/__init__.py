"""One specimen per decoder: what it must understand, and what its checksum is worth.

`tests.devices.test_conformance` and the fuzzer run every decoder over its specimen. `valid` is an
independent second opinion on a frame, written from the protocol and with no code of the gateway's.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from gateway.conformance import Vector


def _always(_frame: bytes) -> bool:
    """For protocols without a checksum."""
    return True


class Specimen(NamedTuple):
    """What the checks of one decoder begin with."""

    decoder: str
    vectors: Sequence[Vector]
    resync: bytes = b""
    """What ends a broken frame of its stream."""
    valid: Callable[[bytes], bool] = _always
    """Whether a frame that the framer cut out may be decoded, as far as its checksum tells."""
    seal: Callable[[bytes], bytes] | None = None
    """Damaged bytes of a vector with their checksum made right: the fuzzer comes past it then."""


@cache
def specimens() -> Mapping[str, Specimen]:
    """Every specimen by its module's name."""
    return {
        info.name: importlib.import_module(f"{__name__}.{info.name}").SPECIMEN
        for info in pkgutil.iter_modules(__path__)
    }
