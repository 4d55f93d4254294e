"""Inputs that resemble what a device sends and are not quite it.

Each is a whole small stream or payload. Damage behind a checksum is met only where the checksum is
made right again, which a specimen can do with `seal`.
"""

import random
from collections.abc import Iterator, Sequence

from gateway.conformance import mutate
from tests.specimens import Specimen

RANDOM_BYTES_MAX = 300


def inputs(rng: random.Random, specimen: Specimen, own: bytes) -> Iterator[bytes]:
    """Without end; `own` is the vector whose options are in force."""
    models = [vector.data for vector in specimen.vectors]
    while True:
        yield _input(rng, specimen, rng.choice(models) if rng.randrange(4) == 0 else own, models)


def _input(rng: random.Random, specimen: Specimen, model: bytes, models: Sequence[bytes]) -> bytes:
    resync = specimen.resync
    damaged = mutate(rng, model)
    match rng.randrange(16):
        case 0:
            return rng.randbytes(rng.randrange(RANDOM_BYTES_MAX))
        case 1 | 2:
            return model
        case 3:
            return model[: rng.randrange(len(model) + 1)] + resync + model
        case 4:
            other = rng.choice(models)
            damaged = model[: rng.randrange(len(model) + 1)] + other[rng.randrange(len(other)) :]
        case 5:
            damaged = model + damaged + model
        case 6 | 7:
            damaged = resync + damaged + resync
    return specimen.seal(damaged) if specimen.seal and rng.randrange(2) else damaged
