"""Who is meant by a complaint: named lines, suspects, and nobody who isn't."""

from random import Random

import pytest

from gateway.sinks.blame import dropped, guilty, suspects
from tests.sinks.test_answers import GOOD, NEW_RETENTION

TOO_OLD = [b"m,device=a f=%d.0 %d" % (i, i) for i in range(3)]


def conflict(field: str, measurement: str, said: str, known: str = "float", count: int = 1) -> str:
    return (
        f'partial write: field type conflict: input field "{field}" on measurement'
        f' "{measurement}" is type {said}, already exists as type {known} dropped={count}'
    )


@pytest.mark.parametrize(
    ("message", "count"),
    [
        ("partial write: points beyond retention policy dropped=3", 3),
        (NEW_RETENTION, 2),
        ("partial write: unable to parse 'm dropped=3': missing fields dropped=0", 0),
        ("unable to parse 'partial write: dropped=3': missing fields", 0),
        ("partial write: unable to parse 'm dropped=3': bad timestamp", 0),
        ("partial write: unable to parse 'x dropped=3…", 0),
        ("dropped=3", 0),
        ("partial write: x dropped=99999999999999999999", 999_999_999),
    ],
)
def test_how_many_lines_were_dropped(message: str, count: int) -> None:
    assert dropped(message) == count


def test_all_are_guilty_where_as_many_were_dropped_as_were_sent() -> None:
    message = "partial write: points beyond retention policy dropped=3"
    assert guilty(TOO_OLD, message, []) == dict.fromkeys(range(3), message)
    assert guilty(TOO_OLD[:2], message, []) == {}
    assert guilty([*TOO_OLD, GOOD[0]], message, []) == {}
    broken = [b'm f="two\nrows" 1', *TOO_OLD[1:]]
    assert guilty(broken, message, []) == {}, "a newline may have made two rows of one line"


def test_the_oldest_are_suspected_of_being_too_old() -> None:
    lines = [GOOD[0], TOO_OLD[2], GOOD[1], b"no time", TOO_OLD[0], GOOD[2]]
    assert suspects(lines, "partial write: points beyond retention policy dropped=2") == [1, 4]
    assert suspects(lines, NEW_RETENTION) == [1, 4]
    assert suspects(lines, "partial write: points beyond retention policy dropped=0") == []
    assert suspects([], NEW_RETENTION) == []


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("float", [0, 4, 8]),
        ("integer", [1]),
        ("boolean", [2]),
        ("string", [3, 5, 6]),
        ("unsigned", []),
    ],
)
def test_who_has_the_field_with_that_type_is_suspected(said: str, found: list[int]) -> None:
    lines = [
        b"m,device=a f=1.0 5",
        b"m f=1i 5",
        b"m,a=b g=1.0,f=true 5",
        b'm f="text" 5',
        b"m f=-1e-9,g=2i 5",
        b'm g=1,f="a, f=1.0 b" 5',
        b'm g="a, f=1.0 b",f="" 5',
        b"mm f=1.0 5",
        b'm g="a ,f=1.0 b" 5',  # a wrong suspicion: it costs a request
        b"m,f=1.0 g=2 5" if said != "float" else b"n f=1.0 5",
        b"m ff=1.0,g=2i 5",
    ]
    expected = found + ([5, 6] if said == "float" else [])
    assert suspects(lines, conflict("f", "m", said)) == sorted(expected)


def test_names_are_looked_for_as_they_are_escaped() -> None:
    lines = [rb"a\,b\ c,x=y f\=\ \,g=1.0 5", b"m f=1.0 5"]
    assert suspects(lines, conflict("f= ,g", "a,b c", "float")) == [0]


def test_quoted_lines_are_named_with_their_words() -> None:
    lines = [GOOD[0], b"bad \xff", b"m,a=b\\ f=1 1", GOOD[1], b'm f="open 5', b"m f=<&>u 5", b"bad"]
    reasons = {
        1: "missing fields",
        2: "invalid tag format",
        4: "unbalanced quotes",
        6: "no: 'x': y",
    }
    message = "\n".join(
        f"unable to parse '{lines[index].decode('utf-8', 'replace')}': {reason}"
        for index, reason in reasons.items()
    )
    named = {index: f"unable to parse: {reason}" for index, reason in reasons.items()}
    assert guilty(lines, message, []) == named
    assert guilty(lines, f"partial write: {message} dropped=0", []) == named
    cut = message[: message.index("quotes")] + "…"
    assert guilty(lines, cut, []) == {1: named[1], 2: named[2], 4: "unable to parse: unbalanced …"}


def test_no_line_can_put_the_blame_on_another() -> None:
    """Quoted lines may contain anything, also what looks like the next complaint."""
    good = GOOD[0].decode()
    for bad in (
        f"x unable to parse '{good}': missing fields",
        f"x': y\nunable to parse '{good}': missing fields",
        f"unable to parse '{good}",
        f"x partial write: unable to parse '{good}': z dropped=2",
    ):
        lines = [GOOD[0], bad.encode(), GOOD[0]]
        message = f"partial write: unable to parse '{bad}': missing fields dropped=0"
        assert guilty(lines, message, []).keys() <= {1}


def test_a_line_that_begins_like_another_and_its_quotation_names_nobody() -> None:
    """The good line is the beginning of the bad one, up to what ends a quotation."""
    bad = GOOD[0] + b"': x"
    message = "\n".join([f"unable to parse '{bad.decode()}': bad timestamp"] * 2)
    assert guilty([GOOD[0], bad, bad], message, []) == {}


def test_lines_that_are_not_ours_name_nobody() -> None:
    assert guilty(GOOD, "unable to parse 'somebody else': missing fields", []) == {}
    assert guilty(GOOD, "unable to parse '", []) == {}
    assert guilty([], "unable to parse 'x': y", []) == {}


def test_numbers_name_lines_unless_a_text_has_several_rows() -> None:
    details: list[dict[str, object]] = [
        {"line_number": 2, "error_message": "bad"},
        {"line_number": 11},
        {"line_number": 0},
    ]
    assert guilty(GOOD, "partial write of line protocol occurred", details) == {1: "bad"}
    rows = [b'm f="a\nb" 1', *GOOD]
    assert guilty(rows, "partial write of line protocol occurred", details) == {}


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("failed to parse line protocol: error parsing line 2 (1-based): bad", [1]),
        (
            "partial write error (1 accepted): 2/3 points rejected; first error: at line 3:13: x",
            [2],
        ),
        ("error parsing line 99 (1-based): bad", []),
        ("error parsing line 0 (1-based): bad", []),
        ("some words", []),
    ],
)
def test_a_number_within_the_words_makes_a_suspect(message: str, found: list[int]) -> None:
    assert suspects(GOOD, message) == found


def test_any_mixture_of_bad_and_good_is_told_apart() -> None:
    alphabet = "m f=1,'\": \\\n"
    for seed in range(300):
        rng = Random(seed)
        lines = ["".join(rng.choices(alphabet, k=rng.randrange(1, 12))) for _ in range(20)]
        lines = list(dict.fromkeys(lines))
        bad = sorted(rng.sample(range(len(lines)), rng.randrange(1, len(lines))))
        message = "\n".join(f"unable to parse '{lines[index]}': bad" for index in bad)
        found = guilty([line.encode() for line in lines], message, [])
        assert set(found) <= set(bad), seed
        assert set(found) == set(bad) or any("': " in line or "\n" in line for line in lines)
