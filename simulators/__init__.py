"""Software devices that are honest peers: they behave on the wire like real ones, faults included.

`python -m simulators SCENARIO.toml` reads a scenario and puts its devices where a gateway looks for
them:

    scenario -> devices -> script -> player -> wire
                   ^          ^
                 world      faults

* `world`     seeded physics: what the air, the sun and the mains do at a place at an instant
* `devices`   what one product makes of that: field names, its text, its topics; no input or output
* `script`    one device's whole life as a lazy sequence of timed steps, faults already worked in
* `pty`       plays a script on a pseudo-terminal, paced at the baud rate
* `mqtt`      plays many scripts on one broker connection that survives the broker
* `tally`     what was truly sent: totals, and a record with one line per reading

Everything left of the player is a pure function of the scenario and its seed, so the same file and
seed give the same bytes, however slowly they are read. Clocks, terminals and sockets exist only in
the players.

Nothing here imports the gateway, and the gateway imports nothing from here: the two meet on the
wire, so that each is a second opinion on the other.
"""
