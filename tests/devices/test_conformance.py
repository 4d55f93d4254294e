"""Every decoder over its specimen, whole, in pieces, damaged and amid garbage."""

import pytest

from gateway.conformance import check_decoder
from gateway.devices import devices
from tests.specimens import specimens


@pytest.mark.parametrize("name", specimens())
def test_a_decoder_stands_whatever_arrives(name: str) -> None:
    specimen = specimens()[name]
    check_decoder(devices()[specimen.decoder], specimen.vectors, resync=specimen.resync)


def test_every_decoder_has_a_specimen() -> None:
    assert {specimen.decoder for specimen in specimens().values()} == set(devices())
