"""P1 streams: telegrams are found whatever stands around them, and on lines of seven bits."""

from functools import partial

import pytest

from gateway.conformance import feed
from gateway.devices.dsmr import DEVICE, P1Framer
from gateway.model import Decoded, Malformed, Noise, Reason
from tests.devices.test_dsmr import decode, decoded
from tests.specimens.dsmr import V5, V22, crc16, telegram
from tests.streams import frames_of, with_parity

CIPHERED = b"\xdb\x08SIM12345\x82\x00\x20\x30" + bytes(range(0x1F))
"""Title, length 32, security control, and the rest of the 32 bytes."""

frames = partial(frames_of, DEVICE)


def test_a_stream_that_begins_within_a_telegram() -> None:
    assert frames(V5[1:], V5) == [V5]
    assert frames(V5[300:] + V5) == [V5]


def test_a_lost_end_costs_its_own_telegram_only() -> None:
    assert frames(V5[:-6] + V5 + V5) == [V5, V5]
    assert frames(V5.replace(b"!", b"") + V5) == [V5]


@pytest.mark.parametrize("last", [V5[:-2], V5[:-1], V22[:-2]])
def test_the_last_telegram_of_a_stream_may_lack_the_end_of_its_line(last: bytes) -> None:
    assert frames(V5 + last) == [V5, last]
    assert isinstance(decode(last), Decoded)


def test_a_stream_that_ends_within_a_crc() -> None:
    for cut in (V5[:-3], V5[:-6]):
        assert [type(decode(data)) for data in frames(cut)] == [Malformed]


def test_an_endless_telegram_is_given_up() -> None:
    assert frames(b"/XYZ5" + b"1-0:1.8.1(1*kWh)\r\n" * 2000 + V5) == [V5]


def test_parity_bits_are_taken_off() -> None:
    assert frames(with_parity(V5), V22) == [V5, V22]


def test_a_line_of_eight_bits_may_carry_texts_that_are_not_ascii() -> None:
    text = telegram("1-0:1.8.0(1.5*kWh)", "0-0:96.13.0(x)")[:-6].replace(b"x", b"\xff\x81\0" * 300)
    data = text + b"%04X\r\n" % crc16(text)
    assert frames(data, V5) == [data, V5]
    assert frames(*(bytes([byte]) for byte in data)) == [data]
    found = decoded(data)
    assert [each.values for each in found.readings] == [{"energy_import": 1.5}]
    assert not found.malformed


@pytest.mark.parametrize("identification", ["/XYZ9 1234", "/XYZ5A-METER", "/XYZ-HEAT", "/xyz5\\A"])
def test_identifications(identification: str) -> None:
    data = telegram("1-0:1.8.0(1*kWh)", identification=identification)
    assert frames(data) == [data]
    assert isinstance(decode(data), Decoded)


def test_ciphered_telegrams_are_known_as_such_and_keep_their_bytes() -> None:
    assert frames(V5 + CIPHERED + V5, CIPHERED) == [V5, CIPHERED, V5, CIPHERED]
    assert frames(*(bytes([byte]) for byte in CIPHERED + V5)) == [CIPHERED, V5]
    assert decode(CIPHERED) == Malformed(Reason.ENCRYPTED, CIPHERED)


def test_what_begins_like_a_ciphered_telegram_hides_no_other() -> None:
    for start in (b"\xdb\x08", b"\xdb", CIPHERED[:13] + b"\0", CIPHERED[:11] + b"\xff\xff\x30"):
        assert frames(start + V5) == [V5]
    assert frames(V5[:200] + CIPHERED + V5) == [CIPHERED, V5]
    items = list(feed(P1Framer(), [V5[:200] + CIPHERED[:20]]))
    assert all(isinstance(item, Noise) for item in items)


# ------------------------------------------------------------------------- the electricity
