"""All decoders that there are: the installed ones, and single files in a folder of the operator's.

Each `*.py` in the folder whose name does not begin with an underscore offers a `Device` under the
name `DEVICE`, as a file in `gateway.devices` does. One that cannot be loaded, or takes a name that
is taken, is a sentence in `problems`, and no more than that.

A file runs with the gateway's rights, so nobody else may be able to change it: neither folder nor
file may be writable by everybody, and a file belongs to root, to the gateway's user, or to the
folder's owner, whom the configuration trusts by naming the folder. Limit: what lies above the
folder is not looked at.
"""

import importlib.util
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

from gateway.devices import FOREIGN_FAILS, as_device, devices, problems
from gateway.errors import ConfigError
from gateway.model import Decoder, Device, Framer

Part = TypeVar("Part")

PACKAGE: Final = "gateway_decoders"
"""What the modules' names begin with; there is no such package."""


class Decoders(NamedTuple):
    devices: Mapping[str, Device]
    """By name, in alphabetical order."""
    problems: tuple[str, ...]
    """What gave no device, in words for the operator."""


def decoders(folder: Path | None = None) -> Decoders:
    """What is installed, and what is in the folder."""
    found, told = dict(devices()), [*problems()]
    for path, device in _load_all(folder) if folder else ():
        if isinstance(device, str):
            told.append(f"{path}: {device}")
        elif device.name in found:
            told.append(f"{path}: the name {device.name!r} is taken")
        else:
            found[device.name] = device
    return Decoders(MappingProxyType(dict(sorted(found.items()))), tuple(told))


def set_up(device: Device, options: Mapping[str, object]) -> tuple[Decoder, Framer | None]:
    """A decoder and its framer. Raises ConfigError with all that is wrong, also with their code."""
    problems: list[str] = []
    decoder = _made(device.make_decoder, options, problems)
    framer = _made(device.make_framer, options, problems)
    if decoder is None or problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return decoder, framer


def _made(
    make: Callable[[Mapping[str, object]], Part], options: Mapping[str, object], problems: list[str]
) -> Part | None:
    try:
        return make(options)
    except ConfigError as error:
        problems += error.problems
    except FOREIGN_FAILS as error:
        problems.append(str(error) or repr(error))
    return None


@cache
def _load_all(folder: Path) -> Sequence[tuple[Path, Device | str]]:
    """The device of each file, or what is wrong with it; likewise with the folder."""
    try:
        if flaw := _flaw(folder, None):
            return [(folder, f"{flaw}; no decoder in it is used")]
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".py")
        owner = folder.stat().st_uid
    except OSError as error:
        return [(folder, f"cannot be read: {error.strerror}")]
    return [(path, _load(path, owner)) for path in paths if not path.name.startswith("_")]


def _load(path: Path, folder_owner: int) -> Device | str:
    try:
        if flaw := _flaw(path, folder_owner):
            return f"not loaded: {flaw}"
        spec = importlib.util.spec_from_file_location(f"{PACKAGE}.{path.stem}", path)
        if spec is None or spec.loader is None:
            return "no Python file"
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look there
        spec.loader.exec_module(module)
        device = as_device(getattr(module, "DEVICE", None))
    except FOREIGN_FAILS as error:
        return f"cannot be loaded: {error!r}"
    return device or "has no DEVICE that is a gateway.model.Device"


def _flaw(path: Path, folder_owner: int | None) -> str:
    """Who else could change what runs, in words; `folder_owner` is None for the folder itself."""
    if sys.platform == "win32":
        return ""
    status = path.stat()
    if status.st_mode & stat.S_IWOTH:
        return "everybody may change it (chmod o-w)"
    if folder_owner is not None and status.st_uid not in {0, os.geteuid(), folder_owner}:
        return f"it belongs to user {status.st_uid} (chown)"
    return ""
