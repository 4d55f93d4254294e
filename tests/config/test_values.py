"""How values are written, and what the program gets."""

import pytest

from gateway.quantities import QUANTITIES
from tests.config.conftest import Load, Problems

SERIAL = '[[serial]]\nname = "s"\nport = "/dev/ttyS0"\ndecoder = "text"\n'
BROKER = '[[mqtt]]\nname = "m"\nsubscribe = [{ topic = "a", decoder = "json" }]\n'


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("0s", 0.0), ("250ms", 0.25), ("1.5 h", 5400.0), ("10min", 600.0), ("2d", 172_800.0)],
)
def test_a_duration_is_seconds(read: Load, written: str, seconds: float) -> None:
    config = read(f'{SERIAL}silence_timeout = "{written}"')
    assert config.serial[0].silence_timeout == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [("1MiB", 1 << 20), ("2 GB", 2_000_000_000), ("1.5GiB", 1_610_612_736), ("3000kB", 3_000_000)],
)
def test_a_size_is_bytes(read: Load, written: str, size: int) -> None:
    assert read(f'[spool]\nmax_bytes = "{written}"').spool.max_bytes == size


@pytest.mark.parametrize(
    "written",
    [
        '"-1s"',
        '"1"',
        '""',
        '"s"',
        '"1e3s"',
        '"1,5s"',
        '"1s2ms"',
        '"s1"',
        '"1S"',
        '"100d"',
        '"\u0661s"',
        "true",
        "[1]",
        "nan",
        "inf",
        "-3",
        "0xffffffffffffffffffffffffffffffffffff",
        "1979-05-27",
    ],
)
def test_what_is_no_duration_is_refused(problems: Problems, written: str) -> None:
    found = problems(f"{SERIAL}silence_timeout = {written}")
    assert [line[:31] for line in found] == ['serial[0] "s": silence_timeout:']


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("commit_interval = 10", 'found 10; write a unit: "10s"'),
        ("commit_interval = 1.5", 'found 1.5; write a unit: "1.5s"'),
        ("min_free = 500", 'found 500; write a unit: "500MiB"'),
    ],
)
def test_a_bare_number_asks_for_its_unit(problems: Problems, written: str, words: str) -> None:
    assert problems(f"[spool]\n{written}") == [f"spool.{written.partition(' ')[0]}: {words}"]


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("0.0.0.0:0", ("0.0.0.0", 0)),  # noqa: S104 -- what is tested
        ("pi.local:80", ("pi.local", 80)),
        ("[::1]:9280", ("::1", 9280)),
        ("", None),
    ],
)
def test_where_to_listen(read: Load, written: str, address: tuple[str, int] | None) -> None:
    assert read(f'[console]\nlisten = "{written}"').console.listen == address


@pytest.mark.parametrize(
    "written", ["localhost", "localhost:", "::1:80", "h:99999", "a b:1", "h:\u0661"]
)
def test_what_is_no_address_is_refused(problems: Problems, written: str) -> None:
    assert len(problems(f'[console]\nlisten = "{written}"')) == 1


@pytest.mark.parametrize(
    ("url", "address", "tls"),
    [
        ("mqtt://localhost", ("localhost", 1883), False),
        ("mqtts://h", ("h", 8883), True),
        ("mqtts://[fe80::1]:1/", ("fe80::1", 1), True),
    ],
)
def test_a_broker_has_host_port_and_tls(
    read: Load, url: str, address: tuple[str, int], *, tls: bool
) -> None:
    (broker,) = read(f'{BROKER}url = "{url}"').mqtt
    assert (broker.address(), broker.tls()) == (address, tls)


@pytest.mark.parametrize(
    "url",
    [
        "mqtt://",
        "mqtt:h",
        "http://h",
        "mqtt://h:x",
        "mqtt://h:0",
        "mqtt://h:99999",
        "mqtt://[h",
        "mqtt://h/topic",
        "mqtt://h?x",
        "mqtt://h#x",
        "mqtt://a\\tb",
        "mqtt://h\\n",
        "MQTT//h",
        "mqtt://\u2100",
        "h",
    ],
)
def test_what_is_no_broker_is_refused(problems: Problems, url: str) -> None:
    assert [line[:15] for line in problems(f'{BROKER}url = "{url}"')] == ['mqtt[0] "m": ur']


@pytest.mark.parametrize(
    ("port", "is_fine"),
    [
        ("/dev/ttyUSB0", True),
        ("usb:0403:6001", True),
        ("usb:2341:0043:7573 530", True),
        ("COM3", True),
        ("ttyUSB0", False),
        ("usb:403:6001", False),
        ("usb:0403", False),
        ("tcp://host:1", True),
        ("rfc2217://ser2net.lan:4000", True),
        ("tcp://[fe80::1]:65535", True),
        ("stdin", True),
        ("tcp://host", False),
        ("tcp://host:0", False),
        ("tcp://host:65536", False),
        ("tcp://host:1/x", False),
        ("tcp://user@host:1", False),
        ("tcp://a b:1", False),
        ("tcp:host:1", False),
        ("udp://host:1", False),
        ("stdin2", False),
        ("/dev/tty\\u0000", False),
        ("", False),
    ],
)
def test_a_port_is_a_path_an_identity_or_an_address(
    problems: Problems, port: str, *, is_fine: bool
) -> None:
    text = SERIAL.replace("/dev/ttyS0", port)
    assert [line[:20] for line in problems(text)] == ([] if is_fine else ['serial[0] "s": port:'])


@pytest.mark.parametrize(
    ("tags", "is_fine"),
    [
        ('{ site = "farm", "Etage 1" = "Küche" }', True),
        ('{ site = "" }', False),
        ('{ site = " x" }', False),
        ('{ site = "a\\nb" }', False),
        ('{ site = "a\\\\" }', False),
        ('{ "" = "a" }', False),
        ('{ time = "a" }', False),
        ('{ _x = "a" }', False),
        ("{ site = 1 }", False),
    ],
)
def test_tags_are_what_influxdb_can_hold(problems: Problems, tags: str, *, is_fine: bool) -> None:
    assert (not problems(f"[gateway]\ntags = {tags}")) is is_fine


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ('{ quantity = "temperature", unit = "degF" }', None),
        ('{ quantity = "temperature_delta", unit = "K" }', None),
        ('{ quantity = "acceleration", unit = "mg" }', None),
        ('{ unit = "hPa", min = 1, max = 1, scale = -1, offset = 3 }', None),
        ('{ rename = "x", drop = false }', None),
        ('{ quantity = "temperature", unit = "lx" }', "unit"),
        ('{ quantity = "Temperature" }', "quantity"),
        ('{ unit = "" }', "unit"),
        ("{ scale = 0 }", "scale"),
        ("{ offset = nan }", "offset"),
        ("{ min = inf }", "min"),
        ("{ min = 2, max = 1.5 }", "max"),
        ("{ drop = 1 }", "drop"),
        ('{ rename = "_x" }', "rename"),
        ("{ limit = 1 }", "limit"),
    ],
)
def test_a_rule_says_what_can_be_done(problems: Problems, rule: str, key: str | None) -> None:
    found = problems(f"{SERIAL}fields.x = {rule}")
    expected = f'serial[0] "s": fields.x.{key}: '
    assert [line[: len(expected)] for line in found] == ([expected] if key else [])


def test_every_quantity_takes_its_own_unit(problems: Problems) -> None:
    rules = [
        f'fields.{name} = {{ quantity = "{name}", unit = "{quantity.unit}" }}'
        for name, quantity in QUANTITIES.items()
    ]
    assert len(rules) > 20
    assert problems(SERIAL + "\n".join(rules)) == []


@pytest.mark.parametrize(("number", "is_taken"), [(10_000, True), (10_001, False)])
def test_no_more_may_wait_than_is_recognized_when_it_comes_again(
    problems: Problems, number: int, *, is_taken: bool
) -> None:
    found = problems(f'{BROKER}url = "mqtt://h"\nmax_unacknowledged = {number}')
    assert (found == []) is is_taken


def test_a_subscription_inherits_from_its_broker(read: Load) -> None:
    (broker,) = read(
        '[[mqtt]]\nname = "m"\nurl = "mqtt://h"\nqos = 0\nretained = true\nsubscribe = ['
        '{ topic = "a", decoder = "json" },'
        '{ topic = "b", decoder = "json", qos = 1, retained = false }]'
    ).mqtt
    assert [broker.qos_of(s) for s in broker.subscribe] == [0, 1]
    assert [broker.takes_retained(s) for s in broker.subscribe] == [True, False]


def test_the_same_topic_is_subscribed_to_once_per_broker_only(problems: Problems) -> None:
    two = (BROKER + 'url = "mqtt://a"\n', BROKER.replace('"m"', '"n"') + 'url = "mqtt://b"\n')
    assert problems("".join(two)) == []


def test_usb_identities_are_the_same_port_in_any_case(problems: Problems) -> None:
    other = SERIAL.replace('"s"', '"t"')
    text = (SERIAL + other).replace("/dev/ttyS0", "usb:0403:600a", 1)
    assert problems(text) == []
    assert problems(text.replace("/dev/ttyS0", "usb:0403:600A"))[0].endswith("this port already")


def test_the_measurement_of_the_units_is_taken(problems: Problems) -> None:
    text = '[[serial]]\nname = "a"\nport = "/dev/a"\ndecoder = "text"\nmeasurement = "units"\n'
    (problem,) = problems(text)
    assert problem.startswith('serial[0] "a": measurement: found "units"; ')
    assert "take another name" in problem
