"""Patterns: what Python's `re` finds, in linear time, or words that say what is wrong."""

import random
import re

import pytest

from gateway.framing.delimited import LINE_MAX
from gateway.model import Reason
from gateway.patterns import KEPT_MAX, STEPS_MAX, Pattern
from gateway.patterns.program import PROGRAM_MAX
from gateway.patterns.syntax import DEPTH_MAX

NUMBER = r"[-+]?\d+(?:\.\d+)?"


def found(pattern: str, text: str) -> dict[str, str] | None:
    groups = Pattern(pattern).search(text)
    return groups if isinstance(groups, dict) else None


def by_re(pattern: str, text: str) -> dict[str, str] | None:
    match = re.search(pattern, text)
    return match and {k: v for k, v in match.groupdict().items() if v is not None}


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"T=(?P<t>[-0-9.]+) C, H=(?P<h>[0-9.]+) %", "boot T=-1.53 C, H=45.2 %!"),
        (rf"^(?P<a>{NUMBER});(?P<b>{NUMBER})?;$", "1.5;;"),
        (r"(?P<first>\w+) (?P<rest>.*)", "one two three"),
        (r"(?P<lazy>.*?),(?P<greedy>.*),", "a,b,c,d"),
        (r"(?P<word>a|ab)(?P<rest>c|bcd)(?P<last>d*)", "abcd"),
        (r"(?P<last>\d)+", "1234"),
        (r"(?P<one>x)|(?P<other>y)", "y"),
        (r"(?P<three>\d{3})(?P<more>\d{2,})(?P<few>[a-c]{,2})", "1234567abc"),
        (r"[]^a-]+(?P<set>[^]\\]+)[\]\-\d.]", "x]^-ab1"),
        (r"\t(?P<degree>\xb0|\u2103|°)\.\$", "\t\u2103.$"),
        (r"a{,}(?P<brace>{x})", "aa{x}"),
        (r"(?P<all>(?:(?:ab)?c)+)$", "abccabc"),
        (r"^(?P<nothing>)$", ""),
        (r"$", "abc"),
        (r"b", "aaa"),
        (r"a$|(?P<b>b)", "ab"),
        (r"(?P<digits>\d+)\D(?P<blank>\s)\S\W", "٣٤x\u00a0y!"),
        (r".(?P<next>\n)", "\n\n\n"),
    ],
)
def test_it_finds_what_re_finds(pattern: str, text: str) -> None:
    assert found(pattern, text) == by_re(pattern, text)


def random_pattern(rng: random.Random, depth: int, names: list[str]) -> str:
    """Any pattern, but without groups that are repeated and may be empty."""
    atoms = ("a", "b", "c", ".", "[ab]", "[^a]", r"\d", r"\w", "[a-c1]", "1", " ")
    kind = rng.randrange(6) if depth else 0
    if kind <= 1:
        return rng.choice(atoms)
    inner = [random_pattern(rng, depth - 1, names) for _ in range(rng.randint(1, 3))]
    if kind == 2:
        return "".join(inner)
    if kind == 3:
        return f"(?:{'|'.join(inner)})"
    if kind == 4:
        names.append(f"g{len(names)}")
        return f"(?P<{names[-1]}>{'|'.join(inner)})"
    times = rng.choice(["*", "+", "?", "{2}", "{1,3}", "{,2}", "{2,}"])
    return f"(?:{rng.choice(atoms)}{inner[0]}){times}{rng.choice(['', '?'])}"


@pytest.mark.parametrize("seed", range(10))
def test_it_agrees_with_re_on_random_patterns(seed: int) -> None:
    rng = random.Random(seed)
    matches = 0
    for _ in range(60):
        anchors = rng.choice(["", "", "^"]), rng.choice(["", "", "$"])
        text = random_pattern(rng, 4, []).join(anchors)
        pattern = Pattern(text)
        for _ in range(5):
            line = "".join(rng.choice("aabbc1 .") for _ in range(rng.randrange(9)))
            groups = pattern.search(line)
            assert (groups if isinstance(groups, dict) else None) == by_re(text, line), (text, line)
            matches += isinstance(groups, dict)
    assert matches > 60


def test_of_any_text_it_makes_a_pattern_or_words() -> None:
    rng = random.Random(2)
    letters = [*"ab1.*+?{}[]()|^$\\,-:<>P=dwsx °", "(?P<n>", "(?:", "{2,3}", "\\d", "[^", "[a-"]
    both = 0
    for _ in range(8_000):
        text = "".join(rng.choice(letters) for _ in range(rng.randrange(12)))
        try:
            pattern = Pattern(text)
            expected = by_re(text, "a,1 b-x°")
        except (ValueError, re.error, FutureWarning):
            continue
        groups = pattern.search("a,1 b-x°")
        assert (groups if isinstance(groups, dict) else None) == expected, text
        both += 1
    assert both > 2_000


EVIL = [
    *("(a+)+$", "(a|aa)+$", "(a*)*b", "(.*)*x", "(((((a+)+)+)+)+)+$", "(a|a)*$", "(.*)(.*)(.*)x"),
    *("(a?){40}a{40}b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y"),
]


@pytest.mark.parametrize("pattern", EVIL)
@pytest.mark.parametrize("letters", ["a", "ab", "x"])
def test_no_pattern_takes_long(pattern: str, letters: str) -> None:
    """Steps are counted, not seconds: what a state makes of a character is worked out once."""
    compiled = Pattern(pattern)
    text = letters * (LINE_MAX // len(letters) - 1) + "!"
    assert compiled.search(text) is not Reason.TOO_LARGE
    steps = compiled.steps
    assert steps < STEPS_MAX
    compiled.search(text)
    assert compiled.steps == steps


def test_the_classics_do_not_match_what_they_should_not() -> None:
    for pattern in ("(a+)+$", "(a|aa)+$", "(.*)*x", "(a*)*b"):
        assert Pattern(pattern).search("a" * LINE_MAX + "!") is Reason.SYNTAX


def test_a_text_that_needs_ever_new_states_is_given_up() -> None:
    """The pattern remembers the last twenty letters: a million states."""
    rng = random.Random(1)
    pattern = Pattern("(a|b)*a(a|b){20}$")
    for _ in range(10):
        before = pattern.steps
        line = "".join(rng.choice("ab") for _ in range(LINE_MAX))
        assert pattern.search(line) is Reason.TOO_LARGE
        assert pattern.steps - before < STEPS_MAX + PROGRAM_MAX
        assert sum(1 + len(s.waiting) for s in pattern._states.values()) < KEPT_MAX + PROGRAM_MAX
    assert found("(?P<x>a)(a|b){20}$", "b" * 9 + "a" + "ab" * 10) == {"x": "a"}


def test_what_is_forgotten_is_worked_out_again() -> None:
    pattern = Pattern(r"(?P<letter>\w)$")
    for code in range(0x4E00, 0x4E00 + 5_000):
        assert pattern.search(chr(code) * 3) == {"letter": chr(code)}


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(a{1,100}){1,100}", "too large: counted repetitions multiply"),
        ("(((a{1,30}){1,30}){1,30})", "too large"),
        ("(?:(?:(?:){1000}){1000}){1000}", "too large"),
        ("a{1001}", "more than 1,000 repetitions"),
        ("a{3,2}", "more repetitions at least than at most"),
        ("(a", "at character 2: a ( without its )"),
        ("a)", "at character 1: a ) without its ("),
        ("[a", "it ends too early"),
        ("a\\", "it ends too early"),
        ("[z-a]", "a range that is none"),
        (r"[a-\d]", "a range that is none"),
        ("*a", "nothing to repeat"),
        ("^*", "nothing to repeat"),
        ("a**", "a repetition of a repetition"),
        ("a++", "a repetition of a repetition"),
        (r"(a)\1", r"\1 is not known here"),
        (r"\bword", r"\b is not known here"),
        (r"\xzz", r"\x needs 2 hexadecimal digits"),
        ("(?=a)", "of (?...) only"),
        ("(?i)a", "of (?...) only"),
        ("(?P<1>a)", "a group's name"),
        ("(?P<a", "a group's name"),
        ("(?P<a>b)(?P<a>c)", "the name a stands there twice"),
        ("(" * (DEPTH_MAX + 1), "groups within each other"),
    ],
)
def test_what_is_refused_is_said(pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Pattern(pattern)
