"""Each checksum against its published value (the sums: counted by hand)."""

import pytest

from gateway.framing.checksums import CHECKSUMS


@pytest.mark.parametrize("name", CHECKSUMS)
def test_every_checksum_has_its_check_value(name: str) -> None:
    kind = CHECKSUMS[name]
    assert kind.compute(b"123456789") == kind.check
    assert 0 <= kind.compute(b"") < 1 << 8 * kind.size


@pytest.mark.parametrize("name", CHECKSUMS)
def test_a_flipped_bit_never_goes_unnoticed(name: str) -> None:
    compute = CHECKSUMS[name].compute
    data = bytes(range(64))
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        assert compute(bytes(damaged)) != compute(data)
