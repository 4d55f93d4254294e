"""The documentation and the examples say what the code does."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, load
from gateway.config.ports import Way
from gateway.config.reference import schema_text, with_reference
from gateway.config.schema import allowed, node_at, resolved, schema
from tests.config.conftest import Problems

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = ROOT / "deploy" / "gateway.toml"
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.toml"))
REGENERATE = "run: python -m gateway.config.reference"

SECRETS = ("token", "influxdb-token", "influxdb-password", "mqtt-password")
PEM_FILES = ("ca.pem", "client.pem", "client.key")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    for name in (*SECRETS, *PEM_FILES):
        (tmp_path / name).write_text("secret\n")
    (tmp_path / "decoders").mkdir()
    return {
        "HOME": "/home/pi",
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "INFLUX_TOKEN": "x",
        "INFLUX_PASSWORD": "x",
        "MQTT_PASSWORD": "x",
    }


def loaded(text: str, tmp_path: Path, environ: dict[str, str]) -> Config:
    path = tmp_path / "gateway.toml"
    path.write_text(text.replace("/etc/sensor-gateway", str(tmp_path)))
    return load(path, environ=environ)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid(example: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    config = loaded(example.read_text(), tmp_path, environ)
    assert config.serial or config.mqtt


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


def test_the_sections_shown_for_byte_streams_are_valid(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    page = (ROOT / "docs" / "serial.md").read_text()
    blocks = re.findall(r"```toml\n(\[\[serial\]\].+?)```", page, flags=re.DOTALL)
    ways = {loaded(block, tmp_path, environ).serial[0].way() for block in blocks}
    assert ways == {Way.SERIAL, Way.TCP, Way.RFC2217, Way.COMMAND}


def uncommented(text: str) -> str:
    """What the file says with every commented key in force; prose stays a comment."""
    return re.sub(r"^# (?=\[|[a-z_.]+ = |\]|  \{)", "", text, flags=re.MULTILINE)


def test_the_default_configuration_is_valid_as_it_is(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    config = loaded(DEFAULTS.read_text(), tmp_path, environ)
    assert (config.influxdb, config.serial, config.mqtt) == (None, (), ())


def tables(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, object]]]:
    """The tables of a document, each under the name of its place in the schema."""
    (serial,), (mqtt,) = document["serial"], document["mqtt"]
    yield from ((key, document[key]) for key in ("gateway", "spool", "influxdb", "console"))
    yield from (("serial", serial), ("mqtt", mqtt))
    yield "rule", {key: value for rule in serial["fields"].values() for key, value in rule.items()}
    yield "subscribe", {key: value for entry in mqtt["subscribe"] for key, value in entry.items()}


LOCATIONS = {
    "serial": ("serial", 0),
    "mqtt": ("mqtt", 0),
    "rule": ("serial", 0, "fields", ""),
    "subscribe": ("mqtt", 0, "subscribe", 0),
}
SHOWN_FOR_SERIAL = {"measurement", "tags", "fields"}


def test_the_default_configuration_shows_every_key_with_its_default() -> None:
    for name, table in tables(tomllib.loads(uncommented(DEFAULTS.read_text()))):
        properties = resolved(node_at(LOCATIONS.get(name, (name,))))["properties"]
        hidden = SHOWN_FOR_SERIAL if name == "subscribe" else set()
        assert set(table) == set(properties) - hidden, name
        for key, node in properties.items():
            if node.get("default", {}) != {} and name != "rule":
                assert table[key] == node["default"], f"{name}.{key}"


def test_the_default_configuration_is_valid_with_everything_in_force(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """Less the keys of other versions, and of a secret and its file the former."""
    text = uncommented(DEFAULTS.read_text()).replace("mqtt://localhost:1883", "mqtts://localhost")
    text = re.sub(r".*(# versions? 1|; or:|# or:).*\n", "", text)
    config = loaded(text, tmp_path, environ)
    assert config.serial[0].fields["uptime"].drop
    assert config.mqtt[0].tls()


def test_the_reference_is_up_to_date() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert page == with_reference(page), REGENERATE
    assert '| `baudrate` | a whole number from 1 to 4000000, or "auto" |' in page
    assert "| `bytesize` | 5, 6, 7 or 8 | `8` |" in page


def test_the_schema_is_up_to_date() -> None:
    assert (ROOT / "docs" / "gateway.schema.json").read_text() == schema_text(), REGENERATE


def test_every_key_is_described_in_words() -> None:
    documented = json.loads(schema_text())
    tables_ = [documented, *documented["$defs"].values()]
    nodes = [(key, node) for table in tables_ for key, node in table["properties"].items()]
    assert len(nodes) > 60
    for key, node in nodes:
        assert node["description"].endswith("."), key
        assert allowed(node) != "another value", key
    assert "null" not in json.dumps(schema()["properties"])


def test_the_problems_shown_in_the_documentation_are_real(problems: Problems) -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    source = '[[serial]]\nname = "{}"\nport = "/dev/{}"\ndecoder = "text"\n'
    found = problems(
        '[gateway]\nnmae = "x"\n'
        + source.format("mast", "a")
        + source.format("arduino", "b")
        + "baudrate = 9600000"
    )
    assert "\n".join(["```", *found, "```"]) in page
