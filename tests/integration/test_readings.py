"""The comparison that the other tests rest on sees each kind of difference."""

import json
from pathlib import Path

from tests.integration.readings import Key, differences, first_readings, read_record

ENTRIES: list[dict[str, object]] = [
    {"device": "a", "sequence": 1, "values": {"sequence": 1, "tempC": 20.5}},
    {"device": "a", "sequence": 2, "values": {"sequence": 2, "tempC": 0}, "copies": 2},
    {"device": "b", "sequence": 4, "values": {"sequence": 4}, "damaged": True},
    {"device": "b", "sequence": 5, "values": {"sequence": 5}},
]


def stored() -> dict[Key, list[dict[str, object]]]:
    return {
        ("a", 1): [{"sequence": 1, "temperature": 20.5}],
        ("a", 2): [{"sequence": 2, "temperature": 0}] * 2,
        ("b", 5): [{"sequence": 5}],
    }


def test_each_kind_of_difference_is_found(tmp_path: Path) -> None:
    path = tmp_path / "sent.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in ENTRIES))
    sent = read_record(path)
    row: dict[str, object] = {"sequence": 4.0}

    assert differences(sent, stored()) == []
    assert differences(sent, stored() | {("b", 4): [row]}) == [], "damaged ones may arrive"
    assert differences(sent, stored() | {("a", 1): []})
    assert not differences(sent, stored() | {("a", 1): []}, excused={("a", 1)})
    assert differences(sent, stored() | {("b", 5): [{"sequence": 5}] * 2})
    assert differences(sent, stored() | {("a", 1): [{"sequence": 1, "temperature": 20.4}]})
    assert differences(sent, stored() | {("a", 1): [{"sequence": 1}]})
    assert differences(sent, stored() | {("c", 1): [row]})
    assert first_readings(sent, ["b"]) == {("b", 4)}
