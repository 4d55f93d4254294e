"""What a command may ask: in pages and steps, as plain data; nothing bad gets into the spool."""

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.model import Group
from gateway.spool import desk
from gateway.spool.letters import ALL, Selection
from gateway.spool.rows import LOWEST
from gateway.spool.store import Spool
from tests.spool.conftest import OpenSpool
from tests.spool.test_letters import NO, assert_accounted, kept_lines, kill
from tests.spool.test_store import assert_balanced, read_all, sql

T0_NS = 1_720_000_000 * 10**9


def points(first: int, last: int, size: int = 0) -> list[bytes]:
    """Valid lines."""
    text = b',note="%s"' % (b"x" * size) if size else b""
    return [b"m,device=d v=%d.0%s %d" % (n, text, T0_NS + n) for n in range(first, last + 1)]


def pages(ask: Callable[[int], Any]) -> list[Any]:
    """All pages but the last, which is empty."""
    found, after = [], LOWEST
    while (page := ask(after))["last"] is not None:
        assert page["last"] > after
        after = page["last"]
        found.append(page)
    return found


def test_letters_come_in_pages(open_spool: OpenSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "PAGE_LETTERS", 10)
    monkeypatch.setattr(desk, "PAGE_BYTES", 50_000)
    spool = open_spool()
    kill(spool, *points(1, 35), *points(36, 40, size=40_000), *points(41, 41, size=200_000))
    found = pages(lambda after: desk.find(spool, ALL, after))
    assert [len(page["letters"]) for page in found] == [10, 10, 10, 6, 1, 1, 1, 1, 1]
    lines = [letter["line"].encode() for page in found for letter in page["letters"]]
    assert lines == kept_lines(spool)
    (last,) = desk.newest(spool, ALL, 1)
    assert last == {
        "id": 41,
        "at_ns": 1_700,
        "status": 400,
        "message": NO,
        "line": points(41, 41, size=200_000)[0].decode(),
    }


def test_equal_words_make_a_group(open_spool: OpenSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "PAGE_LETTERS", 7)
    spool = open_spool()
    kill(spool, *points(1, 10))
    kill(spool, *points(11, 12), message="points beyond retention policy")
    kill(spool, *points(13, 13), status=422)
    found = [g for page in pages(lambda a: desk.groups(spool, ALL, a)) for g in page["groups"]]
    assert [(g["status"], g["message"], g["count"], g["first"], g["last"]) for g in found] == [
        (400, NO, 7, 1, 7),
        (400, NO, 3, 8, 10),
        (400, "points beyond retention policy", 2, 11, 12),
        (422, NO, 1, 13, 13),
    ]
    assert found[0]["line"] == points(7, 7)[0].decode()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("unable to parse '{}': invalid number", "unable to parse '...': invalid number"),
        ("unable to parse '{cut}", "unable to parse '..."),
        ("{}", "..."),
        ("field type conflict", "field type conflict"),
        ("m,device=d v=1.0 is not a good line", "m,device=d v=1.0 is not a good line"),
    ],
)
def test_words_that_repeat_the_line_are_equal_words(
    open_spool: OpenSpool, message: str, words: str
) -> None:
    spool = open_spool()
    for line in points(1, 3, size=300):
        text = line.decode()
        kill(spool, line, message=message.replace("{}", text).replace("{cut}", text[:200]))
    (group,) = desk.groups(spool, ALL)["groups"]
    assert (group["message"], group["count"]) == (words, 3)


def test_how_many_lines_a_batch_had_makes_no_other_words(open_spool: OpenSpool) -> None:
    spool = open_spool()
    for count in (1, 20, 300):
        kill(spool, *points(1, 2), message=f"field type conflict dropped={count}")
    (group,) = desk.groups(spool, ALL)["groups"]
    assert (group["message"], group["count"]) == ("field type conflict dropped=...", 6)


def test_a_retry_goes_in_steps_and_leaves_what_has_a_flaw(
    open_spool: OpenSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "PAGE_LETTERS", 10)
    spool = open_spool()
    of_no_time = b"m v=1 83000000000"
    kill(spool, *points(1, 12), of_no_time, b"m v= 1", *points(13, 24))
    done, refused, after = 0, [], LOWEST
    while (step := desk.retry(spool, ALL, after))["last"] is not None:
        after = step["last"]
        done += step["done"]
        refused += step["refused"]
        assert_accounted(spool)
    assert done == 24
    assert [number for number, _ in refused] == [13, 14]
    assert refused[0][1] == "has a time before the year 2000"
    assert refused[1][1].startswith("has no fields")
    assert kept_lines(spool) == [of_no_time, b"m v= 1"]
    assert read_all(spool) == points(1, 24)
    assert spool.totals().retried == 24


def test_a_mended_line_takes_the_place_of_the_letter(open_spool: OpenSpool) -> None:
    spool = open_spool()
    kill(spool, b"m v=1 83000000000", *points(2, 2))
    with pytest.raises(GatewayError, match="the new line has no time at its end"):
        desk.mend(spool, 1, "m v=1")
    with pytest.raises(GatewayError, match="control character"):
        desk.mend(spool, 1, f"m v=1 {T0_NS}\nm v=2 {T0_NS}")
    with pytest.raises(GatewayError, match="not UTF-8"):
        desk.mend(spool, 1, 'm v="\udcff"')
    with pytest.raises(GatewayError, match="no text"):
        desk.mend(spool, 1, 'm v="\ud800"')
    assert read_all(spool) == []
    assert desk.mend(spool, 1, f"m v=1 {T0_NS}")["done"] == 1
    assert desk.mend(spool, 1, f"m v=1 {T0_NS}")["done"] == 0, "it is no letter any more"
    assert read_all(spool) == [b"m v=1 %d" % T0_NS]
    assert_accounted(spool)


def test_a_drop_takes_what_is_selected(open_spool: OpenSpool) -> None:
    spool = open_spool()
    kill(spool, *points(1, 5))
    assert desk.measure(spool, Selection(up_to=3)) == {"count": 3, "highest": 3}
    assert desk.drop(spool, Selection(up_to=3)) == {"done": 3, "refused": [], "last": 3}
    assert desk.drop(spool, Selection(up_to=3), 3) == {"done": 0, "refused": [], "last": None}
    assert kept_lines(spool) == points(4, 5)
    assert_accounted(spool)


def test_pending_lines_are_shown_and_stay(
    open_spool: OpenSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "PAGE_BYTES", 1_000)
    spool = open_spool()
    for n in range(1, 90, 10):
        spool.commit(Group(rows=points(n, n + 9)))
    spool.close()
    sql(spool.path, "UPDATE rows SET crc = crc + 1 WHERE seq = 4")
    spool = open_spool()
    before = spool.totals()
    found = pages(lambda after: desk.lines(spool, after))
    assert len(found) == 3
    assert sum(page["corrupt"] for page in found) == 1
    shown = [line.encode() for page in found for line in page["lines"]]
    assert shown == points(1, 30) + points(41, 90)
    assert spool.totals() == before
    assert read_all(spool) == shown
    assert_balanced(spool)


def test_the_spool_at_a_glance(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=2**30, min_free=2**20)
    empty = desk.look(spool)
    assert (empty["rows"], empty["oldest_ns"], empty["newest_ns"]) == (0, None, None)
    kill(spool, *points(1, 3))
    spool.commit(Group(rows=points(4, 9)))
    found = desk.look(spool)
    assert found["path"] == str(spool.path)
    assert (found["pending_lines"], found["rows"], found["corrupt_rows"]) == (6, 1, 0)
    assert found["pending_bytes"] == spool.pending_bytes()
    assert (found["oldest_ns"], found["newest_ns"]) == (1_700, 1_700)
    assert found["totals"]["dead"] == found["letters"]["kept"] == 3
    assert found["space"]["max"] == 2**30
    assert found["space"]["min_free"] == 2**20
    assert found["space"]["log"] > 0
    assert found["space"]["disk_free"] > 0
    assert found["space"]["file"] > 0
    assert found["room"] == "free"


def test_lines_without_a_time_are_told_apart(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.commit(Group(rows=points(1, 3)))
    sql(spool.path, "INSERT INTO held VALUES (1, 'boot', 4, 0, 0, 'm v=1 1' || char(10), 0)")
    found = desk.look(spool)
    assert (found["rows"], found["held_lines"]) == (1, 4)
    assert desk.lines(spool)["lines"] == [line.decode() for line in points(1, 3)]


def test_what_is_in_the_way_of_more(open_spool: OpenSpool) -> None:
    assert desk.look(open_spool(max_bytes=2**25))["room"] == "free"
    spool = open_spool(max_bytes=2**20)
    spool.commit(Group(rows=points(1, 1000, size=1000)))
    assert desk.look(spool)["room"] == "limit"
    assert desk.look(open_spool(min_free=2**60))["room"] == "disk"


def through_json(spool: Spool, question: str, **arguments: object) -> Any:  # noqa: ANN401 -- JSON
    """As the control socket does it."""
    return json.loads(json.dumps(desk.answer(spool, question, json.loads(json.dumps(arguments)))))


def test_questions_and_answers_survive_json(
    open_spool: OpenSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = open_spool()
    disk = shutil.disk_usage(spool.path.parent)  # others write to it meanwhile
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: disk)
    odd = b'm v="\xff\xc3" %d' % T0_NS
    kill(spool, odd, *points(2, 3))
    assert through_json(spool, "look") == desk.look(spool)
    assert through_json(spool, "measure", wanted=Selection(up_to=2))["count"] == 2
    (letter,) = through_json(spool, "find", wanted=Selection((1,)))["letters"]
    assert desk.line_bytes(letter["line"]) == odd
    assert through_json(spool, "retry", wanted=Selection((2,)), after=1)["done"] == 1
    assert through_json(spool, "lines")["lines"] == [points(2, 2)[0].decode()]
    assert through_json(spool, "mend", number=1, line=f"m v=1 {T0_NS}")["done"] == 1
    assert through_json(spool, "drop", wanted=ALL)["done"] == 1
    assert through_json(spool, "groups", wanted=ALL) == {"groups": [], "last": None}
    assert through_json(spool, "newest", wanted=ALL, limit=3) == []


@pytest.mark.parametrize(
    ("question", "arguments"),
    [
        ("unknown", {}),
        ("__class__", {}),
        ("look", {"more": 1}),
        ("find", {}),
        ("find", {"wanted": [1]}),
        ("find", {"wanted": 7}),
        ("mend", {"number": 1}),
    ],
)
def test_a_question_of_another_version(
    open_spool: OpenSpool, question: str, arguments: dict[str, object]
) -> None:
    with pytest.raises(GatewayError, match="of another version"):
        desk.answer(open_spool(), question, arguments)


@pytest.mark.parametrize("seed", range(3))
def test_after_any_order_of_questions_every_line_is_somewhere(
    open_spool: OpenSpool, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(desk, "PAGE_LETTERS", 5)
    spool = open_spool()
    made: list[bytes] = []
    dropped: Counter[bytes] = Counter()
    for turn in range(60):
        match rng.randrange(4):
            case 0:
                made += points(100 * turn, 100 * turn + 9)
                kill(spool, *points(100 * turn, 100 * turn + 9))
            case 1:
                desk.retry(spool, Selection(up_to=rng.randrange(200)), rng.randrange(100))
            case 2:
                before = Counter(kept_lines(spool))
                desk.drop(spool, Selection(tuple(rng.sample(range(1, 300), 20))))
                dropped += before - Counter(kept_lines(spool))
            case _:
                spool.close()
                spool = open_spool()
        assert_accounted(spool)
        assert Counter(made) == Counter(read_all(spool) + kept_lines(spool)) + dropped
    assert dropped
    assert spool.totals().retried
