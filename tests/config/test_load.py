"""From a path to a configuration: which file, what it may be, `${NAME}`, secrets."""

import json
from pathlib import Path

import pytest

from gateway.config import Config, find, load, warnings
from gateway.errors import ConfigError
from tests.config.conftest import DEVICES, Load, Problems

SERIAL = '[[serial]]\nname = "s"\nport = "{}"\ndecoder = "text"\n'
BROKER = '[[mqtt]]\nname = "m"\nurl = "{}"\nsubscribe = [{{ topic = "a/b", decoder = "json" }}]\n'
INFLUXDB_3 = '[influxdb]\nversion = 3\nurl = "{}"\ndatabase = "d"\n'


def problem_of(content: bytes, path: Path) -> str:
    path.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        load(path, environ={}, devices=DEVICES)
    (problem,) = raised.value.problems
    return problem


# ---------------------------------------------------------------------------------- finding


def test_the_file_named_is_taken_before_any_other() -> None:
    assert find(Path("mine.toml")) == Path("mine.toml")


def test_without_a_name_the_first_place_with_a_file_is_taken(tmp_path: Path) -> None:
    places = (tmp_path / "a.toml", tmp_path / "b.toml", tmp_path / "c.toml")
    for place in places[1:]:
        place.touch()
    assert find(None, places) == places[1]


def test_without_any_file_the_places_are_told_and_the_demo(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        find(None, (tmp_path / "a.toml", tmp_path / "b.toml"))
    (problem,) = raised.value.problems
    assert problem == (
        f"no configuration: looked for {tmp_path}/a.toml and {tmp_path}/b.toml; "
        "name one with --config FILE, or try it without: sensor-gateway demo"
    )


# ------------------------------------------------------------------- files that are none


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"# " + b"x" * (1 << 20), "larger than 1 MiB, so it is no configuration"),
        (b"[gateway]\nname = 'K\xfcche'\n", "line 2: not UTF-8 text"),
        (bytes(range(128)) * 9, "a binary file, not text"),
        (b"a = " + b"[" * 100_000, "tables or lists nested deeper than 16"),
        (b"a = " + b"{b=" * 100_000, "tables or lists nested deeper than 16"),
        (b"a = " + b"[" * 40 + b"]" * 40, "tables or lists nested deeper than 16"),
        (b"a." * 400_000 + b"a = 1", "tables or lists nested deeper than 16"),
        (b"[" + b'"a" . ' * 100_000 + b"a]", "tables or lists nested deeper than 16"),
        (b"a = " + b"9" * 5_000, "a number with thousands of digits"),
    ],
)
def test_what_is_no_configuration_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    path = tmp_path / "gateway.toml"
    assert problem_of(content, path) == f"{path}: {expected}"


def test_a_folder_and_a_missing_file_are_named_as_such(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "is a folder, not a file"), (tmp_path / "no", "no such file")):
        with pytest.raises(ConfigError) as raised:
            load(path, environ={}, devices=DEVICES)
        assert raised.value.problems == (f"{path}: {words}",)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(b'\xef\xbb\xbf[gateway]\r\nname = "K\xc3\xbcche"\r\n')
    assert load(path, environ={}, devices=DEVICES).gateway.name == "Küche"


def test_a_file_of_nothing_but_mistakes_ends_with_a_hundred_of_them(problems: Problems) -> None:
    found = problems("\n".join(f"unknown{n} = 1" for n in range(50_000)))
    assert len(found) == 101
    assert found[-1] == "more than 100 problems: mend these first"


def test_a_problem_is_one_short_line_whatever_was_found(problems: Problems) -> None:
    text = 'spool.max_bytes = "{0}"\nserial = 0x{1}\n"{0}" = 1\ngateway.name = "\\n\\u001b[2J"'
    found = problems(text.format("\\n" * 100_000, "f" * 5_000))
    assert len(found) == 4
    assert all(line.isprintable() and len(line) < 600 for line in found)


def test_an_empty_file_is_a_configuration_of_defaults(read: Load) -> None:
    config = read("")
    assert config.gateway.data_dir == Path("/home/pi/.local/state/sensor-gateway")
    assert (config.spool.max_bytes, config.spool.commit_interval) == (2 * 1024**3, 1.0)
    assert config.console.listen == ("127.0.0.1", 9280)
    assert (config.influxdb, config.serial, config.mqtt) == (None, (), ())


# ---------------------------------------------------------------------- the environment


def test_variables_are_replaced_in_every_text(read: Load) -> None:
    config = read(
        SERIAL.format("${TTY}") + 'tags = { a = "${A}${B}", b = "$${A}", c = "$A $$" }',
        TTY="/dev/ttyS0",
        A="${B}",
        B="!",
    )
    assert config.serial[0].port == "/dev/ttyS0"
    assert config.serial[0].tags == {"a": "${B}!", "b": "${A}", "c": "$A $"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${NOPE}", "the environment variable NOPE is not set"),
        ("${A-B}", "a variable is written ${NAME}, and a dollar before { is written $$"),
        ("x${", "a variable is written ${NAME}, and a dollar before { is written $$"),
    ],
)
def test_a_variable_without_a_value_is_a_problem(problems: Problems, text: str, words: str) -> None:
    assert problems(f'[gateway]\nname = "{text}"') == [f"gateway.name: {words}"]


def test_the_folder_of_systemd_goes_before_the_default_and_the_file_before_both(
    read: Load,
) -> None:
    folder = "/var/lib/sensor-gateway"
    assert read("", STATE_DIRECTORY=f"{folder}:/b").gateway.data_dir == Path(folder)
    text = '[gateway]\ndata_dir = "/data"'
    assert read(text, STATE_DIRECTORY=folder).gateway.data_dir == Path("/data")


def test_relative_paths_start_at_the_folder_of_the_file(read: Load, tmp_path: Path) -> None:
    assert read('[gateway]\ndata_dir = "data"').gateway.data_dir == tmp_path / "data"
    assert read('[gateway]\ndata_dir = "~/data"').gateway.data_dir == Path("/home/pi/data")


# ------------------------------------------------------------------------------ secrets


def test_a_secret_comes_from_a_file_without_its_line_break(read: Load, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"s3cret \r\n")
    config = read(INFLUXDB_3.format("http://localhost") + 'token_file = "${D}/token"', D=".")
    assert config.influxdb is not None
    assert config.influxdb.secret_token() == "s3cret "


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file (a relative path starts at the folder of the configuration)"),
        (b"\n", "the file is empty"),
        (b"a\nb\n", "the file contains a line break or another control character"),
        (b"\xff", "the file is not UTF-8 text"),
        (b"x" * 100_000, "the file is larger than 65536 bytes: this is no secret"),
    ],
)
def test_a_file_without_a_usable_secret_is_a_problem(
    problems: Problems, tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    text = INFLUXDB_3.format("http://localhost") + 'token_file = "token"'
    assert problems(text) == [f'influxdb.token_file: found "token"; {words}']


def test_a_folder_is_no_secret(problems: Problems, tmp_path: Path) -> None:
    text = INFLUXDB_3.format("http://localhost") + f'token_file = "{tmp_path}"'
    assert problems(text)[0].endswith("cannot be read: Is a directory")


def test_a_secret_is_given_once(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("t")
    text = INFLUXDB_3.format("http://localhost") + 'token_file = "t"\ntoken = "t"'
    assert problems(text) == ["influxdb.token_file: give token or token_file, not both"]


def test_a_configuration_never_shows_its_secrets(read: Load, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2")
    config = read(
        INFLUXDB_3.format("http://localhost")
        + 'token = "${TOKEN}"\n'
        + BROKER.format("mqtt://localhost")
        + 'username = "u"\npassword_file = "password"\n',
        TOKEN="hunter2",
    )
    assert config.mqtt[0].secret_password() == "hunter2"
    for shown in (repr(config), str(config), str(config.model_dump()), config.model_dump_json()):
        assert "hunter2" not in shown


SECRET = "hunter2/hunter2"

WRITTEN_SECRETS = """
[influxdb] version = 9; token = "SECRET"; password = 5; user = 1
[influxdb] token = "SECRET\\u0000"
[influxdb] token = ["SECRET"]; password = { a = "SECRET" }
[influxdb] passwrod = "SECRET"
[influxdb] url = "http://user:SECRET@localhost:8086"
[influxdb] url = "user:SECRET@localhost"
[influxdb] url = "http://localhost/?token=SECRET"
[[mqtt]] name = "m"; url = "mqtt://user:SECRET@h"; password = "SECRET"
[[mqtt]] name = "m"; password = "SECRET"; password_file = "nowhere"; x = "SECRET"
[[serial]] name = "m"; port = "tcp://user:SECRET@h"
"""

EXPANDED_SECRETS = """
[gateway] name = "SECRET\\n"; data_dir = 3; tags = { a = "SECRET\\n" }
[spool] max_bytes = "SECRET"; min_free = "SECRET"
[console] listen = "SECRET"
[influxdb] url = "SECRET"; token_file = "SECRET"; version = "SECRET"; org = "SECRET\\n"
[[serial]] name = "SECRET"; port = "SECRET"; decoder = "SECRET"; fields.x = { unit = "SECRET" }
[[serial]] name = "s"; fields.x = { quantity = "SECRET", min = "SECRET" }; parity = "SECRET"
[[mqtt]] name = "SECRET"; url = "SECRET"; ca_file = "SECRET"; qos = "SECRET"; subscribe = "SECRET"
"""


@pytest.mark.parametrize(
    "line",
    WRITTEN_SECRETS.strip().replace("SECRET", SECRET).splitlines()
    + EXPANDED_SECRETS.strip().replace("SECRET", "${SECRET}").splitlines(),
)
def test_no_problem_shows_a_secret(problems: Problems, line: str) -> None:
    """Neither where it belongs, nor where it was put by mistake, nor from the environment."""
    found = problems(line.replace("] ", "]\n", 1).replace("; ", "\n"), SECRET=SECRET)
    assert found
    assert "gateway.toml" not in found[0], "a mistake in the syntax of this test"
    assert "hunter2" not in "\n".join(found)


def test_an_address_with_a_password_is_refused_with_the_right_keys(problems: Problems) -> None:
    (problem,) = problems(BROKER.format("mqtt://user:hunter2@localhost"))
    assert problem == (
        'mqtt[0] "m": url: allowed: mqtt://host:port or mqtts://host:port, without a user or '
        "password: these go to username and password_file"
    )


# ----------------------------------------------------------------------------- warnings


def warnings_of(config: Config) -> str:
    return "\n".join(warnings(config))


def test_what_may_not_be_meant_is_a_warning(read: Load) -> None:
    assert warnings_of(read("")) == "no [[serial]] and no [[mqtt]]: there is nothing to read"
    source = SERIAL.format("/dev/ttyS0")
    assert not warnings_of(read(source + '[console]\nlisten = "[::1]:0"'))
    assert not warnings_of(read(source + '[console]\nlisten = ""'))
    assert "everybody" in warnings_of(read(source + '[console]\nlisten = "0.0.0.0:9280"'))
    assert "everybody" in warnings_of(read(source + '[console]\nlisten = "[::]:9280"'))


@pytest.mark.parametrize(
    ("url", "is_warned"),
    [
        ("mqtt://broker.lan", True),
        ("mqtts://broker.lan", False),
        ("mqtt://127.0.0.1", False),
        ("mqtt://localhost", False),
    ],
)
def test_a_secret_in_clear_text_is_a_warning(read: Load, url: str, *, is_warned: bool) -> None:
    config = read(BROKER.format(url) + 'username = "u"\npassword = "${P}"', P="x")
    assert ("clear text" in warnings_of(config)) is is_warned
    assert "clear text" not in warnings_of(read(BROKER.format(url)))


@pytest.mark.parametrize(
    ("topics", "warned"),
    [
        (["s/+/t", "s/attic/#"], [("s/+/t", "s/attic/#")]),
        (["s/{room}/t", "x", "s/attic/{what}"], [("s/{room}/t", "s/attic/{what}")]),
        (["$share/g/s/#", "s/t"], [("$share/g/s/#", "s/t")]),
        (["s/attic/t", "s/#"], []),
        (["s/+/t", "s/attic/#", "s/#"], []),
        (["s/a", "s/b"], []),
    ],
)
def test_subscriptions_that_bring_a_message_twice_are_a_warning(
    read: Load, topics: list[str], warned: list[tuple[str, str]]
) -> None:
    entries = ", ".join(f'{{ topic = "{topic}", decoder = "json" }}' for topic in topics)
    text = f'[[mqtt]]\nname = "m"\nurl = "mqtt://h"\nsubscribe = [{entries}]'
    assert warnings(read(text)) == [
        f'mqtt[0] "m": subscribe: some topics match both "{one}" and "{two}": over MQTT 5 a broker '
        "may send such a message twice, once for each, and both become readings; write one pattern "
        "that covers both"
        for one, two in warned
    ]


def test_a_decoder_gets_its_own_keys(read: Load) -> None:
    config = read(SERIAL.format("/dev/ttyS0") + 'columns = ["a"]\nseparator = ";"')
    assert config.serial[0].options() == {"columns": ["a"], "separator": ";"}
    assert json.loads(config.model_dump_json())["serial"][0]["name"] == "s"
