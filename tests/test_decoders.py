"""Decoders in a folder of the operator's: found, refused with a sentence where broken or unsafe."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config import Config, load, warnings
from gateway.decoders import decoders, set_up
from gateway.devices import devices
from gateway.errors import ConfigError
from gateway.model import Device

GOOD = """
from __future__ import annotations
from dataclasses import dataclass
from gateway.framing.delimited import Lines
from gateway.model import Decoded, Device, Reading

@dataclass
class Acme:
    factor: float = 1.0
    def decode(self, frame: Frame) -> Verdict:
        return Decoded([Reading({"temperature": float(frame.data) * self.factor})])

DEVICE = Device("acme", "a thermometer", Acme, Lines, options=frozenset({"factor"}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "decoders"
    folder.mkdir(mode=0o755)
    return folder


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, source in files.items():
        (folder / name).write_text(source)
        (folder / name).chmod(0o644)


def test_a_file_in_the_folder_is_a_decoder_beside_the_installed_ones(folder: Path) -> None:
    write(folder, {"acme.py": GOOD, "_draft.py": "raise ValueError", "notes.txt": "no Python"})
    found, problems = decoders(folder)
    assert problems == ()
    assert set(found) == {*devices(), "acme"}
    assert list(found) == sorted(found)
    assert decoders(folder).devices["acme"] is found["acme"], "loaded once"
    assert "acme" not in decoders().devices


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def", "cannot be loaded: SyntaxError("),
        ("import nowhere_at_all", "cannot be loaded: ModuleNotFoundError("),
        ("raise RuntimeError('boom')", "cannot be loaded: RuntimeError('boom')"),
        ("import sys; sys.exit(3)", "cannot be loaded: SystemExit(3)"),
        ("raise type('Own', (Exception,), {})", "cannot be loaded: Own()"),
        ("x = 1", "has no DEVICE that is a gateway.model.Device"),
        ("DEVICE = 5", "has no DEVICE that is a gateway.model.Device"),
        (
            "from gateway.model import Device\nDEVICE = Device(None, '', None)",
            "has no DEVICE that is a gateway.model.Device",
        ),
        (GOOD.replace('"acme"', '"json"'), "the name 'json' is taken"),
    ],
)
def test_a_broken_file_is_a_sentence_and_no_more(folder: Path, source: str, words: str) -> None:
    write(folder, {"broken.py": source, "zebra.py": GOOD})
    found, problems = decoders(folder)
    assert "acme" in found
    assert found["json"] is devices()["json"]
    (problem,) = problems
    assert problem.startswith(f"{folder}/broken.py: {words}")


def test_of_two_files_of_one_name_the_first_counts(folder: Path) -> None:
    write(folder, {"a.py": GOOD, "b.py": GOOD})
    found, problems = decoders(folder)
    assert found["acme"].decoder.__module__ == "gateway_decoders.a"
    assert problems == (f"{folder}/b.py: the name 'acme' is taken",)


def test_what_everybody_may_change_is_not_run(folder: Path) -> None:
    write(folder, {"acme.py": GOOD, "zebra.py": GOOD.replace('"acme"', '"zebra"')})
    (folder / "acme.py").chmod(0o646)
    found, problems = decoders(folder)
    assert "acme" not in found
    assert "zebra" in found
    assert problems == (f"{folder}/acme.py: not loaded: everybody may change it (chmod o-w)",)


def test_a_folder_that_everybody_may_change_is_not_used(folder: Path) -> None:
    write(folder, {"acme.py": GOOD})
    folder.chmod(0o777)
    found, problems = decoders(folder)
    assert set(found) == set(devices())
    told = f"{folder}: everybody may change it (chmod o-w); no decoder in it is used"
    assert problems == (told,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(("owner", "loaded"), [(0, True), (1234, True), (4321, False)])
def test_a_file_is_roots_ours_or_of_the_folders_owner(
    folder: Path, owner: int, *, loaded: bool
) -> None:
    write(folder, {"acme.py": GOOD})
    os.chown(folder, 1234, -1)
    os.chown(folder / "acme.py", owner, -1)
    found, problems = decoders(folder)
    assert ("acme" in found) == loaded
    told = f"{folder}/acme.py: not loaded: it belongs to user 4321 (chown)"
    assert problems == (() if loaded else (told,))


def test_a_folder_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    found, problems = decoders(tmp_path / "gone")
    assert set(found) == set(devices())
    assert problems == (f"{tmp_path}/gone: cannot be read: No such file or directory",)


def test_code_that_fails_when_it_is_set_up_says_so() -> None:
    def fail(**_: object) -> None:
        raise RuntimeError

    with pytest.raises(ConfigError, match=r"RuntimeError\(\)"):
        set_up(Device("x", "", fail), {})  # type: ignore[arg-type]


def configured(folder: Path, gateway: str, entry: str) -> Config:
    path = folder.parent / "gateway.toml"
    path.write_text(
        f'[gateway]\n{gateway}\n[[serial]]\nname = "port"\nport = "/dev/ttyUSB0"\n{entry}'
    )
    return load(path, environ={"HOME": "/home/pi"})


def test_the_configuration_names_the_folder(folder: Path) -> None:
    write(folder, {"acme.py": GOOD, "broken.py": "def"})
    config = configured(folder, 'decoders = "decoders"', 'decoder = "acme"\nfactor = 2.0')
    assert config.gateway.decoders == folder
    (warning,) = warnings(config)
    assert warning.startswith(f"{folder}/broken.py: cannot be loaded: SyntaxError")


@pytest.mark.parametrize(
    ("gateway", "entry", "words"),
    [
        ('decoders = "elsewhere"', 'decoder = "text"', "gateway.decoders: found"),
        ('decoders = ""', 'decoder = "text"', "gateway.decoders: found"),
        ("decoders = 5", 'decoder = "text"', "gateway.decoders: found 5"),
        ('decoders = "de\\u0000"', 'decoder = "text"', "gateway.decoders: found"),
        ('decoders = "decoders"', 'decoder = "acme"\nspeed = 1', "unknown key"),
        ('decoders = "decoders"', 'decoder = "acne"', 'did you mean "acme"?'),
    ],
)
def test_what_is_wrong_is_told_by_key(folder: Path, gateway: str, entry: str, words: str) -> None:
    write(folder, {"acme.py": GOOD})
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")) as raised:
        configured(folder, gateway, entry)
    assert len(raised.value.problems) == 1


def test_where_a_decoder_is_missing_it_is_told_why(folder: Path) -> None:
    write(folder, {"acme.py": "import nowhere_at_all"})
    with pytest.raises(ConfigError) as raised:
        configured(folder, 'decoders = "decoders"', 'decoder = "acme"')
    missing, why = raised.value.problems
    assert missing.startswith('serial[0] "port": decoder: found "acme"; no such decoder')
    assert "nowhere_at_all" in why
