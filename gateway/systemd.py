"""systemd's notifications: ready, alive, stopping (sd_notify(3)); nothing where it is not there."""

import asyncio
import logging
import os
import socket

log = logging.getLogger(__name__)


def notify(state: str) -> None:
    """Send a state such as `READY=1`; a manager that does not listen changes nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(0)
            manager.sendto(state.encode(), address)
    except OSError as error:
        log.warning("systemd was not notified: %s", error)


async def keep_alive() -> None:
    """Tell the watchdog at half of its period that the event loop turns."""
    period_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    while period_s > 0:
        notify("WATCHDOG=1")
        await asyncio.sleep(period_s / 2)
