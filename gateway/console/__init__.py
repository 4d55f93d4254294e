"""The gateway as its operator sees it: a page, `/health`, `/metrics`, `/api/...`, commands.

    status.py    one look at the running parts, as plain data
    metrics.py   the same for Prometheus
    tail.py      observations as they come
    server.py    both over HTTP: read-only on `[console] listen`, and on the control socket
    control.py   the Unix socket in the data directory, for both of its ends
    client.py    what `sensor-gateway status`, `tail` and `types` ask through it
    render.py    what these commands print
    desk.py      the spool for `sensor-gateway spool` and `dead-letters`: through it, or without
    render_spool.py    what these commands print

Everything here looks, nothing holds up the flow: a look is short, and followers are bounded.
"""
