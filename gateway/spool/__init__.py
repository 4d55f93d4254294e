"""Durable stores: the spool in front of InfluxDB, and the archive in place of it.

Format of the spool, enough for a reader of its own
===================================================

`spool.db` is an SQLite 3 database in WAL mode (`spool.db-wal` belongs to it while the gateway runs,
and after a crash), application_id 0x53475350, user_version 2, UTF-8. A file of a higher
user_version with columns not named here is refused, one of version 1 (without `droppable` and
`held`) is upgraded. Every change is one transaction with `synchronous = FULL`: what the gateway has
called committed survives `kill -9` and a pulled plug.

rows(seq, lines, crc, committed_ns, body, droppable)
    What InfluxDB does not have yet. A row is a batch of `lines` lines of line protocol, times in
    nanoseconds, joined with single newlines and without one at the end, in order of arrival.
    `seq` rises with every row and is not used again while the process runs; after a restart
    numbers go on from the highest row. `crc` is the CRC-32 (zlib, unsigned) of the ASCII text
    "<seq> <lines>", one newline, and `body`. A row whose CRC or number of lines does not fit is
    corrupt: never to be delivered. `committed_ns` is the time of the commit, nanoseconds since
    1970, UTC. Rows are deleted as a whole, when all their lines are delivered or dead. `droppable`
    is 1 where the lines may be evicted when the spool is full, the oldest first.
held(seq, boot, lines, crc, committed_ns, body, droppable)
    Likewise what arrived before there was a time of day. The last number of a line is its arrival
    in nanoseconds since the machine's start; before it stands the device's own time, if it stated
    one. `boot` is the machine's run, Linux's /proc/sys/kernel/random/boot_id; `crc` is that of
    "<boot> <seq> <lines>", one newline, and `body`. Once the start has a date, lines get their time
    and become `rows`; those of an earlier run become dead letters, of status 0. They are pending
    lines, and `totals` has their number as `held`. `committed_ns` may be nanoseconds since the
    start too, here and above: before 2000, that is.
dead_letters(id, at_ns, status, message, line)
    Lines that the database refused for good, with its HTTP status and words (the first 500
    characters). The latest 100,000, and at most an eighth of the spool's bytes. `id` rises and is
    never used again.
corrupt_rows(id, seq, lines, crc, committed_ns, body)
    Corrupt rows as they were found, for inspection. The latest 100, and at most a 32nd of the
    spool's bytes.
totals(name, value)
    The counts of `gateway.model.Totals` in lines, since the store was made, changed in the
    transaction that moves the lines: spooled + retried = delivered + dead + evicted + corrupt +
    pending. `pending_bytes` stands beside them, and for the dead letters `letters` and
    `letter_bytes` (kept, with 32 bytes more for each), `letters_dropped`, `letters_forgotten`:
    dead = letters + retried + letters_dropped + letters_forgotten. A missing name means 0. Counts
    that do not add up are damaged: pending is counted anew, the difference is corrupt.
pins(measurement, field, is_text)
    The type a field has for good: 1 text, 0 number.
seen(session, upto, pairs)
    The QoS 1 messages of an MQTT session that were committed, for recognizing redeliveries: those
    of one or several transactions in a row. `pairs` holds 10 bytes per message, in order: the
    packet identifier as a big-endian 16-bit integer, and the first 8 bytes of a digest. `upto`
    numbers the session's last message in the blob, counted from 1. Only the last 32,768 messages
    count; rows without one of those are deleted.

The archive has the tables `totals`, `pins` and `seen` too; its own are in `archive.py`.

Damage. A file that SQLite calls malformed, or that is none, is salvaged; also one whose header,
log, schema or counts cannot be as they are. What can be read goes into `spool.db.new`, the damaged
file becomes `spool.db.corrupt-<n>` (its log `spool.db.corrupt-<n>-wal`) and is kept, then the new
one takes the name. Without a `spool.db`, a `spool.db.new` is complete and only has to be renamed;
with one, it is the rest of an interrupted salvage. Each row on intact pages comes back, whatever
has happened to the others; a row whose CRC is wrong stays in the damaged file. Pending lines that
could not be read count as corrupt. Flipped bits do not make a spool foreign or newer: it is refused
only where its tables are not ours, or have columns that this version does not know.

What is not known any more after damage: how much was lost when the page with the counts is gone
too, or when the log was cut short or only its last transaction was hit, for that looks like a power
cut; whether a row had been delivered already when the pointer map or the newest version of its page
is damaged: then it is sent again, which makes the same points, and `spooled` counts it again. The
tables without checksums (pins, seen, dead_letters, totals) are taken as they are found.

Modules: `store` and `archive` are the two stores, `held` and `archive_held` what waits for its time
in them, `letters` the dead lines, `rows` and `pending` the spool's tables and their counts,
`database` and `counts` what both stores share. `mishaps` sorts what SQLite raises, `examine` looks
at a file before it is opened, `salvage` replaces a damaged one with what `remains` of it, `pages`
and `wal` know SQLite's format. `desk` is what commands may ask. `worker` is the thread that all of
it runs in, `lock` keeps a second gateway out.
"""
