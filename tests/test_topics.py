"""Topic patterns follow MQTT's rules (MQTT 5, section 4.7), and placeholders stay whole levels."""

import pytest

from gateway.topics import (
    REMEMBERED_LENGTH_MAX,
    TOPICS_REMEMBERED,
    Router,
    TopicPattern,
)


@pytest.mark.parametrize(
    ("text", "topic_filter"),
    [
        ("sensors/{location}/{device}/state", "sensors/+/+/state"),
        ("zigbee2mqtt/#", "zigbee2mqtt/#"),
        ("{device}", "+"),
        ("#", "#"),
        ("+/+/{x_1}", "+/+/+"),
        ("/leading/{a}", "/leading/+"),
        ("a//{b}/", "a//+/"),
        ("$SYS/broker/{what}", "$SYS/broker/+"),
        ("$share/plant/line/{device}/#", "$share/plant/line/+/#"),
    ],
)
def test_a_placeholder_is_subscribed_as_one_level(text: str, topic_filter: str) -> None:
    assert TopicPattern.parse(text).filter == topic_filter


@pytest.mark.parametrize(
    ("text", "topic", "captures"),
    [
        ("at/{location}/{device}/state", "at/hall/s1/state", {"location": "hall", "device": "s1"}),
        ("sensors/{location}/{device}/state", "sensors/hall/state", None),
        ("sensors/{location}/{device}/state", "sensors/hall/s1/state/more", None),
        ("sensors/{location}/{device}/state", "sensors/hall/s1/set", None),
        ("a/{empty}/b", "a//b", {"empty": ""}),
        ("a/+", "a/b", {}),
        ("a/+", "a", None),
        ("+", "/finance", None),
        ("+/+", "/finance", {}),
        ("sport/tennis/#", "sport/tennis", {}),
        ("sport/tennis/#", "sport/tennis/", {}),
        ("sport/tennis/#", "sport/tennis/a/b/c", {}),
        ("sport/tennis/#", "sport/tennistic", None),
        ("{who}/#", "a/b/c", {"who": "a"}),
        ("#", "any/thing", {}),
        ("#", "$SYS/uptime", None),
        ("+/uptime", "$SYS/uptime", None),
        ("{root}/uptime", "$SYS/uptime", None),
        ("$SYS/#", "$SYS/uptime", {}),
        ("$SYS/{what}", "$SYS/uptime", {"what": "uptime"}),
        ("Case/+", "case/x", None),
        ("a/b", "a/b", {}),
        ("$share/plant/line/{device}", "line/7", {"device": "7"}),
        ("$share/plant/#", "$SYS/uptime", None),
        ("grüße/{ort}", "grüße/Köln", {"ort": "Köln"}),
    ],
)  # fmt: skip
def test_matching(text: str, topic: str, captures: dict[str, str] | None) -> None:
    assert TopicPattern.parse(text).match(topic) == captures


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a topic such as"),
        ("$share/plant/", "a topic such as"),
        ("a/#/b", "last level"),
        ("a/b#", "whole levels"),
        ("a/+b", "whole levels"),
        ("a/sensor-{id}", "whole level"),
        ("a/{}", "whole level"),
        ("a/{1st}", "whole level"),
        ("a/{b", "whole level"),
        ("a/b}", "whole level"),
        ("{a}/{a}", "twice"),
        ("$share/plant", "GROUP"),
        ("$share//x", "GROUP"),
        ("$share/+/x", "GROUP"),
        ("$share/{g}/x", "GROUP"),
        ("a\0b", "bytes"),
        ("a" * 65_536, "bytes"),
        ("ö" * 32_768, "bytes"),
    ],
)
def test_a_wrong_pattern_is_explained(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TopicPattern.parse(text)


@pytest.mark.parametrize(
    ("outer", "inner", "covered"),
    [
        ("s/#", "s/{room}/t", True),
        ("s/#", "s", True),
        ("#", "s/#", True),
        ("s/+/t", "s/{room}/t", True),
        ("s/{room}/t", "s/attic/t", True),
        ("s/attic/t", "s/+/t", False),
        ("s/+", "s/#", False),
        ("s/+", "s/a/b", False),
        ("s/a/#", "s/#", False),
        ("s/+/t", "s/attic/#", False),
        ("#", "$SYS/broker/uptime", False),
        ("$share/g/s/#", "s/t", False),
        ("$share/g/s/#", "$share/g/s/#", True),
    ],
)
def test_a_pattern_covers_those_whose_every_topic_it_takes(
    outer: str, inner: str, *, covered: bool
) -> None:
    assert TopicPattern.parse(outer).covers(TopicPattern.parse(inner)) is covered


@pytest.mark.parametrize(
    ("one", "other", "topic"),
    [
        ("s/+/t", "s/attic/#", "s/attic/t"),
        ("s/{room}/t", "s/attic/{what}", "s/attic/t"),
        ("s/#", "+/a", "s/a"),
        ("s/#", "+", "s"),
        ("#", "+/+/t", "s/a/t"),
        ("s/a/#", "s/{room}/b/#", "s/a/b"),
        ("s/#", "s/a", "s/a"),
        ("$SYS/+/a", "$SYS/broker/#", "$SYS/broker/a"),
        ("$share/g/s/+/t", "s/attic/#", "s/attic/t"),
        ("$share/g/s/+", "$share/h/+/a", "s/a"),
        ("s/+/t", "s/attic", None),
        ("s/+/t", "s/attic/u", None),
        ("s/+", "t/#", None),
        ("s/a/b/#", "s/+", None),
        ("s/a/#", "s/b/#", None),
        ("#", "$SYS/broker/uptime", None),
        ("+/#", "$SYS/#", None),
        ("$share/g/#", "$SYS/#", None),
    ],
)
def test_patterns_overlap_where_some_topic_is_taken_by_both(
    one: str, other: str, topic: str | None
) -> None:
    patterns = TopicPattern.parse(one), TopicPattern.parse(other)
    assert patterns[0].overlaps(patterns[1]) is (topic is not None)
    assert patterns[1].overlaps(patterns[0]) is (topic is not None)
    assert topic is None or all(pattern.match(topic) is not None for pattern in patterns)


def test_the_first_matching_pattern_takes_the_topic() -> None:
    router = Router(
        [
            (TopicPattern.parse("home/bridge/#"), "bridge"),
            (TopicPattern.parse("home/{device}"), "device"),
            (TopicPattern.parse("home/#"), "rest"),
        ]
    )
    for _ in range(2):  # the second time from memory
        assert router.route("home/bridge/state") == ("bridge", {})
        assert router.route("home/lamp") == ("device", {"device": "lamp"})
        assert router.route("home/lamp/set") == ("rest", {})
        assert router.route("garden/lamp") is None


def test_what_was_captured_cannot_be_changed() -> None:
    router = Router([(TopicPattern.parse("home/{device}"), None)])
    found = router.route("home/lamp")
    assert found is not None
    with pytest.raises(TypeError):
        found[1]["device"] = "other"  # type: ignore[index]


def test_memory_is_bounded_whatever_the_topics() -> None:
    router = Router([(TopicPattern.parse("{device}"), None)])
    for number in range(TOPICS_REMEMBERED + 500):
        router.route(str(number))
        router.route(f"{number:0{REMEMBERED_LENGTH_MAX + 1}}")
    remembered = router._remembered.cache_info()
    assert remembered.currsize == TOPICS_REMEMBERED
    assert remembered.misses == TOPICS_REMEMBERED + 500  # the long ones were never stored
    long_topic = "x" * (REMEMBERED_LENGTH_MAX + 1)
    assert router.route(long_topic) == (None, {"device": long_topic})
