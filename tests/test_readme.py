"""README and docs keep step with the program: help texts, configuration, links."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import command
from gateway.config.load import load
from tests.integration.test_demo import check_output

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def block(marker: str) -> str:
    """The fenced block that follows a marker."""
    found = re.search(rf"<!-- {marker} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    assert found, f"README.md has no block {marker}"
    return found[1]


def test_the_readme_shows_the_help_as_it_is() -> None:
    shown = CliRunner().invoke(command, ["--help"], prog_name="sensor-gateway", terminal_width=90)
    assert block("help") == shown.output, "put the output of sensor-gateway --help there"


@pytest.mark.parametrize("name", sorted(command.commands))
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    runner = CliRunner()
    found = command.commands[name]
    subcommands = getattr(found, "commands", None)
    for words in [[name, sub] for sub in subcommands] if subcommands else [[name]]:
        shown = runner.invoke(command, [*words, "--help"])
        assert shown.exit_code == 0
        assert f"Example: sensor-gateway {' '.join(words)}" in shown.output


def test_the_readmes_configuration_is_valid(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(# gateway\.toml\n.*?)```", README, re.DOTALL)
    assert found
    path = tmp_path / "gateway.toml"
    path.write_text(found[1])
    load(path, environ={**os.environ, "INFLUX_TOKEN": "t"})


def test_the_readme_shows_what_the_demo_prints() -> None:
    check_output(block("output: demo"))


def test_the_readme_shows_what_decode_prints() -> None:
    """To the digit, but for the time of arrival."""
    time = re.compile(r"20\d\d-[^\"]*Z|\d{19}")
    for example in block("example: decode").split("$ ")[1:]:
        line, _, expected = example.partition("\n")
        line = line.replace("sensor-gateway", f"{sys.executable} -m gateway")
        shown = subprocess.run(
            ["sh", "-c", f"{{ {line}; }} 2>&1"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        )
        assert time.sub("TIME", shown.stdout) == time.sub("TIME", expected)


def anchors(page: Path) -> set[str]:
    """What a link may name behind `#`: the page's headings, as GitHub writes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text())
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", page.read_text())
    for target, anchor in links:
        there = page.parent / target if target else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_pages_exist(page: Path) -> None:
    used = set(re.findall(r"(?m)(?:^|`|bin/)sensor-gateway ([a-z][a-z-]+)\b", page.read_text()))
    assert used <= set(command.commands)
