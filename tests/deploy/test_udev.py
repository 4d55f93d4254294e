"""What the udev rules make of adapters, boards and devices that are none of the gateway's."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.udev import Node, Outcome, apply, parse

FILE = Path(__file__).resolve().parents[2] / "deploy" / "99-sensor-gateway.rules"
RULES = FILE.read_text(encoding="utf-8")

IGNORED_BY_MODEM_MANAGER = {"ID_MM_DEVICE_IGNORE": "1"}


def usb_device(vendor: str) -> Node:
    attributes = {"idVendor": vendor, "serial": "A50285BI", "power/control": "auto"}
    return Node("usb", "1-1.2", attributes, {"DEVTYPE": "usb_device"})


def port(kernel: str, vendor: str) -> list[Node]:
    """A serial port and what it is a part of."""
    interface = Node("usb", "1-1.2:1.0", {"bInterfaceNumber": "00"}, {"DEVTYPE": "usb_interface"})
    return [Node("tty", kernel), interface, usb_device(vendor), Node("usb", "usb1")]


@pytest.mark.parametrize(
    ("kernel", "vendor"),
    [
        ("ttyUSB0", "0403"),
        ("ttyUSB12", "10c4"),
        ("ttyUSB0", "1a86"),
        ("ttyUSB0", "067b"),
        ("ttyACM0", "2341"),
        ("ttyACM0", "2a03"),
        ("ttyACM0", "303a"),
        ("ttyACM0", "2e8a"),
    ],
)
def test_sensors_and_boards_are_for_the_gateway(kernel: str, vendor: str) -> None:
    rules = parse(RULES)
    assert apply(rules, port(kernel, vendor)) == Outcome(
        owner={"GROUP": "dialout", "MODE": "0660"}, properties=IGNORED_BY_MODEM_MANAGER
    )
    assert apply(rules, [usb_device(vendor)]) == Outcome(
        properties=IGNORED_BY_MODEM_MANAGER, attributes={"power/control": "on"}
    )


def test_a_modem_stays_with_modem_manager() -> None:
    outcome = apply(parse(RULES), port("ttyUSB2", "12d1"))
    assert outcome == Outcome(owner={"GROUP": "dialout", "MODE": "0660"})


@pytest.mark.parametrize(
    "chain",
    [
        [Node("tty", "tty1")],
        [Node("tty", "ttyS0")],
        [usb_device("046d")],
        [Node("usb", "1-1.2:1.0", {}, {"DEVTYPE": "usb_interface"}), usb_device("0403")],
        [Node("block", "sda"), usb_device("0403")],
    ],
)
def test_everything_else_is_left_alone(chain: list[Node]) -> None:
    assert apply(parse(RULES), chain) == Outcome()


def test_nothing_happens_to_what_is_unplugged() -> None:
    assert apply(parse(RULES), port("ttyUSB0", "0403"), action="remove") == Outcome()


def test_the_example_gives_a_name() -> None:
    rules = parse(re.sub(r"^#(?=SUBSYSTEM)", "", RULES, flags=re.MULTILINE))
    assert apply(rules, port("ttyUSB0", "0403")).links == ["mast"]
    assert apply(rules, port("ttyUSB0", "10c4")).links == []


@pytest.mark.parametrize(
    "wrong",
    ['SUBSYSTEM="tty"', 'MODE=="0660"', "GROUP=dialout", 'KERNEL=="tty0" GROUP="x"'],
)
def test_a_wrong_rule_is_noticed(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"no term|does not go with"):
        parse(wrong)


@pytest.mark.integration
def test_udev_itself_takes_the_rules() -> None:
    udevadm = shutil.which("udevadm")
    if udevadm is None:
        pytest.skip("udevadm is missing; Debian has it: apt-get install udev")
    words = subprocess.run([udevadm, "--help"], capture_output=True, text=True, check=True).stdout
    if "verify" not in words:
        pytest.skip("udevadm verify needs systemd 254 or newer (Debian 13)")
    done = subprocess.run(
        [udevadm, "verify", str(FILE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
