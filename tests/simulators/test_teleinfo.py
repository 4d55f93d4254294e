"""A simulated French meter: its frames to the last byte, in all modes."""

import pytest

from simulators.devices.teleinfo import checksum, make, stamp

WORLD = {"energy": 1250.5, "power": 420.0, "panel_power": 0.0, "voltage": 230.4, "current": 1.8}


def frame(variant: str, t: float = 0.0) -> str:
    meter = make("house", lambda name, _t: WORLD[name], variant)
    meter.reset()
    (item,) = meter.emit(1, t)
    assert all(byte.bit_count() % 2 == 0 for byte in item.data)
    return bytes(byte & 0x7F for byte in item.data).decode()


def test_checksums_worked_out_by_hand() -> None:
    """41 + 20 + 31 is 92, of which six bits are 12."""
    assert checksum("A 1") == "2"
    assert checksum("PTEC HP..") == " "


def test_historic_mode_to_the_last_byte() -> None:
    assert frame("historic") == (
        "\x02\nADCO 001742027165 :\r\nOPTARIF HC.. <\r\nISOUSC 45 ?\r\nHCHC 000500200 M\r"
        '\nHCHP 000750300 "\r'
        "\nPTEC HP..  \r\nIINST 002 Y\r\nIMAX 090 H\r\nPAPP 00420 '\r"
        "\nHHPHC A ,\r\nMOTDETAT 000000 B\r\x03"
    )


def test_standard_mode_has_tabs_and_times() -> None:
    groups = frame("standard", 4000.0).strip("\x02\x03").replace("\n", "").split("\r")
    assert groups[0].split("\t")[:2] == ["ADSC", "001742027165"]
    assert "DATE\tH260329000640\t\t" in groups[2]
    assert any(group.startswith("CCASN\tH260329000000\t00420\t") for group in groups)
    assert any(group.startswith("UMOY1\tH260329000000\t230\t") for group in groups)
    for group in groups[:-1]:
        assert ord(group[-1]) == sum(group[:-1].encode()) % 64 + 32


def test_short_frames_of_an_overload() -> None:
    labels = [line.split(" ")[0] for line in frame("alarm").replace("\x02", "").split("\n")[1:]]
    assert labels == ["ADIR1", "ADIR2", "ADIR3", "ADCO", "IINST1", "IINST2", "IINST3"]


def test_the_season_is_in_the_time() -> None:
    assert [stamp(t) for t in (10_799.0, 10_800.0)] == ["H260329015959", "E260329030000"]


def test_there_is_no_other() -> None:
    with pytest.raises(ValueError, match=r"not 'linky'"):
        frame("linky")
    assert make("a", lambda _name, _t: 0.0).name == "a"
