"""docs/new-device.md: its files are put into a folder, its commands and its test are run there."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gateway.config import load
from gateway.decoders import decoders
from gateway.devices import GROUP

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "new-device.md").read_text()
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
TIME = re.compile(r"20\d\d-[^\"]*Z")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The page's files."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(mode=0o755, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644)
    return tmp_path


def run(place: Path, command: str) -> str:
    """What a command prints; it must not fail."""
    done = subprocess.run(
        ["sh", "-c", f"{command} 2>&1"],  # noqa: S607
        cwd=place,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_commands_print_what_the_page_shows(place: Path) -> None:
    found = re.search(r"<!-- commands -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert found
    for example in found[1].split("$ ")[1:]:
        command, _, expected = example.partition("\n")
        command = command.replace("sensor-gateway", f"{shlex.quote(sys.executable)} -m gateway")
        assert TIME.sub("TIME", run(place, command)) == TIME.sub("TIME", expected)


def test_the_test_passes(place: Path) -> None:
    shown = run(place, f"{shlex.quote(sys.executable)} -m pytest -q -p no:cacheprovider")
    assert "1 passed" in shown


def test_the_configuration_loads_the_decoder(place: Path) -> None:
    folder, package = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (place / "gateway.toml").write_text(folder)
    config = load(place / "gateway.toml", environ={"HOME": str(place)})
    assert config.serial[0].decoder == "stick"
    assert decoders(config.gateway.decoders).problems == ()
    assert list(tomllib.loads(package)["project"]["entry-points"]) == [GROUP]


def test_its_python_is_clean(place: Path) -> None:
    ruff = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml")]
    subprocess.run([*ruff, "--ignore", "INP001,S101,D100", str(place)], check=True)


def test_the_modules_on_the_page_are_there() -> None:
    for module, name in re.findall(r"`(gateway(?:\.\w+)+)\.([A-Z]\w+)`", PAGE):
        assert hasattr(__import__(module, fromlist=[name]), name)
    assert (ROOT / "gateway" / "quantities" / "table.py").exists()
