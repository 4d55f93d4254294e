"""Serial ports for the operator: which one is meant, why it does not open, and how many fit.

A port is named by its path, or by the identity of its USB adapter (`usb:0403:6001`, with
`:SERIAL` where there are several): that one keeps pointing at the same device however often the
kernel renumbers `/dev/ttyUSB*`. Everything else turns the system's error codes into sentences
that say what to do; `docs/serial.md` lists them. POSIX only.
"""

import errno
import grp
import os
import pwd
import re
import resource
import stat
import termios
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from serial.tools.list_ports import comports

from gateway.errors import TransportError

FILES_PER_PORT = 5
"""The port itself, and the two pipes that pyserial opens with it."""
FILES_OF_THE_GATEWAY = 100
"""Databases, brokers, the console's clients, standard streams: a round figure above them."""
PORTS_SHOWN = 8

_IDENTITY = re.compile(
    r"usb:(?P<vid>[0-9a-f]{4}):(?P<pid>[0-9a-f]{4})(?::(?P<serial>.+))?", re.IGNORECASE
)


class PortInfo(Protocol):
    """What pyserial tells about a port that is there."""

    device: str
    description: str
    vid: int | None
    pid: int | None
    serial_number: str | None


ListPorts = Callable[[], Iterable[PortInfo]]


def resolve(port: str, list_ports: ListPorts = comports) -> str:
    """The path of a port given by path or by USB identity; TransportError where none or several."""
    if not port.startswith("usb:"):
        return port
    identity = _IDENTITY.fullmatch(port)
    if identity is None:
        raise TransportError(
            f"{port}: a USB identity looks like usb:0403:6001 or usb:0403:6001:SERIAL"
        )
    wanted = int(identity["vid"], 16), int(identity["pid"], 16)
    present = _present(list_ports)
    matching = [
        info
        for info in present
        if (info.vid, info.pid) == wanted and identity["serial"] in (None, info.serial_number)
    ]
    if not matching:
        raise TransportError(f"{port}: no such device, unplugged? {_there_is(present)}")
    if len(matching) > 1:
        raise TransportError(
            f"{port}: several devices match ({_listed(matching)}): add the serial number, or "
            "where that is the same too, give a path below /dev/serial/by-path"
        )
    return matching[0].device


def describe(path: str, list_ports: ListPorts = comports) -> str:
    """The path, with the USB identity and the name of what is plugged in there."""
    real = os.path.realpath(path)
    for info in _present(list_ports):
        if info.device == real:
            return _description(info) if path == real else f"{path} -> {_description(info)}"
    return path


def explain(exc: Exception, path: str, list_ports: ListPorts = comports) -> str:
    """What is wrong with the port, and what to do about it."""
    if isinstance(exc, ValueError | OverflowError):
        return f"{path}: its driver refuses the settings, most likely the baud rate ({exc})"
    code = _error_code(exc)
    match code:
        case None:
            return f"{path}: {exc}"
        case errno.EACCES:
            return _permission_denied(path)
        case errno.EBUSY | errno.EAGAIN:
            return _busy(path)
        case errno.ENOENT:
            return _missing(path, list_ports)
        case _:
            return f"{path}: {_SENTENCES.get(code, os.strerror(code))}"


_SENTENCES = {
    errno.EPERM: (
        "this process may not use the device: a service needs DeviceAllow=, a container --device"
    ),
    errno.EISDIR: "is a directory, not a serial port",
    errno.ENOTTY: "is not a serial port",
    errno.ENODEV: "no hardware behind this port",
    errno.ENXIO: "no hardware behind this port",
    errno.EIO: "the port does not answer any more: unplugged, or no hardware behind it",
    errno.EINVAL: (
        "refuses the settings: look at baudrate, bytesize, parity and stopbits "
        '(a pseudo-terminal takes only bytesize = 8 and parity = "N")'
    ),
    errno.EMFILE: "too many open files: raise LimitNOFILE= of the service, or `ulimit -n`",
}


def is_held_by(process: int, path: str) -> bool:
    """Whether the process has the port open, as far as this user may see (Linux)."""
    return process in (pid for pid, _ in _holders(os.path.realpath(path)))


def raise_open_file_limit() -> int:
    """Raise the limit of open files as far as this process may; returns the one in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # macOS says "unlimited" and then takes less
        return soft
    return hard


def open_file_limit_problem(ports: int) -> str | None:
    """Words where that many ports exceed the limit of open files, raised as far as it goes."""
    limit = raise_open_file_limit()
    needed = ports * FILES_PER_PORT + FILES_OF_THE_GATEWAY
    if limit == resource.RLIM_INFINITY or needed <= limit:
        return None
    return (
        f"{ports} serial ports need about {needed} open files, the limit is {limit}: "
        "raise LimitNOFILE= of the service, or `ulimit -n`"
    )


def _present(list_ports: ListPorts) -> list[PortInfo]:
    try:
        return sorted(list_ports(), key=lambda info: info.device)
    except (OSError, TypeError, ValueError) as exc:
        # pyserial trips over a device that disappears while it reads sysfs: int(None, 16)
        raise TransportError("the serial ports changed while they were being listed") from exc


def _description(info: PortInfo) -> str:
    if info.vid is None or info.pid is None:
        return info.device
    serial = f":{info.serial_number}" if info.serial_number else ""
    return f"{info.device} (usb:{info.vid:04x}:{info.pid:04x}{serial}, {info.description})"


def _listed(present: list[PortInfo]) -> str:
    shown = ", ".join(_description(info) for info in present[:PORTS_SHOWN])
    more = len(present) - PORTS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _there_is(present: list[PortInfo]) -> str:
    return f"There is: {_listed(present)}" if present else "There are no serial ports"


def _error_code(exc: Exception) -> int | None:
    """The errno of an error of pyserial, which leaves that of termios in the context."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause.errno
        if isinstance(cause, termios.error):
            return int(cause.args[0])
        cause = cause.__context__
    return None


def _missing(path: str, list_ports: ListPorts) -> str:
    try:
        there_is = _there_is(_present(list_ports))
    except TransportError as exc:
        there_is = str(exc)
    target = os.path.realpath(path)
    dangling = f" (it points to {target})" if Path(path).is_symlink() else ""
    return f"{path}: no such port{dangling}, unplugged? {there_is}"


def _permission_denied(path: str) -> str:
    user = _name_of_user(os.geteuid())
    try:
        file = Path(path).stat()
    except OSError:
        return f"{path}: permission denied: user {user} may not look into its directory"
    if file.st_gid == 0 or file.st_mode & stat.S_IRWXG < stat.S_IRGRP | stat.S_IWGRP:
        return (
            f"{path}: permission denied: only its owner {_name_of_user(file.st_uid)} may use it; "
            'a udev rule with GROUP="dialout", MODE="0660" changes that'
        )
    group, members = _group(file.st_gid)
    if user in members:
        return (
            f"{path}: permission denied: user {user} is in group {group}, but not yet in this "
            "session: log in again, or restart the service"
        )
    return (
        f"{path}: permission denied: add the user to group {group}: "
        f"sudo usermod -aG {group} {user}, then log in again (a service: restart it)"
    )


def _name_of_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> tuple[str, list[str]]:
    try:
        entry = grp.getgrgid(gid)
    except KeyError:
        return str(gid), []
    return entry.gr_name, entry.gr_mem


def _busy(path: str) -> str:
    holders = list(_holders(os.path.realpath(path)))
    if os.getpid() in (pid for pid, _ in holders):
        return f"{path}: in use by this program itself: is the port configured twice?"
    if holders:
        names = ", ".join(f"{name} (process {pid})" for pid, name in holders)
        return f"{path}: in use by {names}: a port has one reader, stop the other"
    return (
        f"{path}: in use by another program (ModemManager? gpsd? a terminal?): "
        f"sudo fuser -v {path} names it"
    )


def _holders(device: str) -> Iterator[tuple[int, str]]:
    """The processes that have the device open, as far as this user may see."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(_points_to(file, device) for file in (process / "fd").iterdir()):
                yield int(process.name), (process / "comm").read_text().strip()
        except OSError:  # ended meanwhile, or belongs to somebody else
            continue


def _points_to(link: Path, target: str) -> bool:
    try:
        return str(link.readlink()) == target
    except OSError:  # closed meanwhile
        return False
