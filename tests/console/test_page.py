"""The page: alone in the world, and a browser shows with it what devices say."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

import gateway.console
from tests.console.rig import Rig, serving

PAGE = (Path(gateway.console.__file__).parent / "page.html").read_text()
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
BROWSER_S = 60.0


def test_it_asks_nobody_else() -> None:
    assert not re.search(r"""(https?:)?//\w|url\(|@import""", PAGE)
    assert set(re.findall(r"""(?:src|href)="([^"]*)""", PAGE)) == {"data:,", "/api/status"}


def test_what_devices_say_never_becomes_markup() -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\son\w+=", PAGE)


@pytest.mark.integration
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is missing: apt-get install chromium")
async def test_a_browser_shows_it(rig: Rig, tmp_path: Path) -> None:
    rig.say('{"id": "kitchen", "temperature": 20.25, "note": "<img src=x onerror=alert(1)>"}')
    rig.say("no json")
    await rig.commit()
    async with serving(rig, patience_s=BROWSER_S) as url:
        document = await _dump(url, tmp_path / "profile")
    assert ">attic</h1>" in document
    assert ">20.25<" in document
    assert "°C" in document
    assert "✓ balanced" in document
    assert "malformed: syntax" in document
    assert "&lt;img src=x onerror=alert(1)&gt;" in document


async def _dump(url: str, profile: Path) -> str:
    """The document after its first look at the gateway."""
    assert CHROMIUM is not None
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=3000",
        "--dump-dom",
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        document, _ = await browser.communicate()
    finally:
        if browser.returncode is None:
            browser.kill()
            await browser.wait()
    return document.decode()
