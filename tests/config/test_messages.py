"""What the operator reads when the configuration is wrong, word by word."""

import pytest

from tests.config.conftest import Problems

MANY_MISTAKES = """
[gateway]
nmae = "greenhouse"
tags = { site = 7, _internal = "x" }

[spool]
max_bytes = 500
commit_interval = "1m"

[influx]
url = "http://localhost:8086"

[[serial]]
name = "mast"
port = "ttyUSB0"
decoder = "nmea183"

[[serial]]
name = "arduino"
port = "/dev/ttyUSB1"
baudrate = 9600000
decoder = "text"
colunms = ["a"]
fields.temp_f = { quantity = "temprature", unit = "degF", min = 85, max = -40 }
fields.p = { quantity = "pressure", unit = "m/s" }
fields.q = { unit = "dgC" }

[[serial]]
name = "mast"
port = "/dev/ttyUSB1"
decoder = "json"

[[mqtt]]
name = "home"
url = "localhost:1883"
qos = 2
client_id = "${SITE}"
retained = "yes"
subscribe = [
  { topic = "sensors/{device}", decoder = "json" },
  { topic = "sensors/{room}", decoder = "value" },
  { topic = "a/#/b", decoder = "json" },
  { topic = "c" },
]
"""

ALL_PROBLEMS = """\
gateway.tags.site: found 7; allowed: text
gateway.tags._internal: InfluxDB keeps "time" and names that begin with "_" for itself
gateway.nmae: unknown key; did you mean "name"?
spool.max_bytes: found 500; write a unit: "500MiB"
spool.commit_interval: found "1m"; allowed: a duration from "10ms" to "1min"; units: ms, s, min, h, d
influx: unknown key; did you mean "influxdb"?
serial[0] "mast": port: found "ttyUSB0"; allowed: a path such as "/dev/ttyUSB0", "usb:VID:PID", \
"usb:VID:PID:SERIAL", "tcp://host:port", "rfc2217://host:port" or "stdin"
serial[0] "mast": decoder: found "nmea183"; no such decoder; did you mean "nmea0183"?
serial[1] "arduino": fields.temp_f.quantity: found "temprature"; no such quantity; \
did you mean "temperature"?
serial[1] "arduino": fields.temp_f.max: found -40; allowed: a number that is not below min
serial[1] "arduino": fields.p.unit: found "m/s"; pressure is stored in hPa, and this unit does not \
convert into it
serial[1] "arduino": fields.q.unit: found "dgC"; no such unit; did you mean "degC"?
serial[1] "arduino": baudrate: found 9600000; allowed: a whole number from 1 to 4000000, or "auto"
serial[1] "arduino": colunms: unknown key; did you mean "columns"?
serial[2].name: found "mast"; serial[0] has this name already
serial[2] "mast": port: found "/dev/ttyUSB1"; serial[1] is this port already
serial[2] "mast": decoder: found "json"; takes MQTT messages only; on a serial port: asker, nmea0183, text
mqtt[0] "home": client_id: the environment variable SITE is not set
mqtt[0] "home": url: found "localhost:1883"; allowed: mqtt://host:port or mqtts://host:port
mqtt[0] "home": qos: found 2; allowed: 0 or 1; 1 is right also where devices publish with 2: \
a message is then acknowledged once it is on disk, and a repeated one is recognized
mqtt[0] "home": retained: found "yes"; allowed: true or false
mqtt[0] "home": subscribe[2].topic: found "a/#/b"; # matches all that follows: it can only be the \
last level
mqtt[0] "home": subscribe[3].decoder: missing; allowed: a decoder's name
mqtt[0] "home": subscribe[1].topic: found "sensors/{room}"; subscribe[0] subscribes to the same topics
"""  # noqa: E501


def test_all_problems_are_told_at_once_in_the_order_of_the_file(problems: Problems) -> None:
    assert problems(MANY_MISTAKES) == ALL_PROBLEMS.splitlines()


INFLUXDB = '[influxdb]\nversion = {}\nurl = "http://localhost:8086"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            INFLUXDB.format(2),
            [
                "influxdb.org: missing, and InfluxDB 2 needs it; allowed: text",
                "influxdb.bucket: missing, and InfluxDB 2 needs it; allowed: text",
                "influxdb.token: missing, and InfluxDB 2 needs it; allowed: text",
            ],
        ),
        (
            INFLUXDB.format(1) + 'bucket = "b"\ntoken = "t"',
            [
                (
                    "influxdb.bucket: belongs to InfluxDB 2, and version is 1;"
                    ' did you mean "database"?'
                ),
                (
                    "influxdb.token: belongs to InfluxDB 2 and 3, and version is 1;"
                    ' did you mean "password"?'
                ),
                "influxdb.database: missing, and InfluxDB 1 needs it; allowed: text",
            ],
        ),
        (INFLUXDB.format(3) + 'database = "d"', []),
        (
            INFLUXDB.format('"2"'),
            ['influxdb.version: found "2"; allowed: 1, 2 or 3'],
        ),
        (
            INFLUXDB.format("true"),
            ["influxdb.version: found true; allowed: 1, 2 or 3"],
        ),
        (
            INFLUXDB.format(1) + 'database = "d"\npassword = "p"',
            ["influxdb.password: needs username"],
        ),
        ("serial = 3", ["serial: found 3; allowed: a list of tables, headed [[serial]]"]),
        ("[mqtt]", ["mqtt: found a table; allowed: a list of tables, headed [[mqtt]]"]),
        ("[[spool]]", ["spool: found a list; allowed: a table, headed [spool]"]),
        ("serial = [1]", ["serial[0]: found 1; allowed: a table with decoder, name"]),
        (
            '[console]\nlisten = ":9280"',
            [
                (
                    'console.listen: found ":9280"; allowed: "host:port" such as "127.0.0.1:9280"'
                    ' or "[::1]:9280", "" for off'
                )
            ],
        ),
        (
            '[spool]\nmax_bites = "1d"\n"a b" = 1\n[gateway]\nzzz = 1',
            [
                'spool.max_bites: unknown key; did you mean "max_bytes"?',
                (
                    'spool."a b": unknown key; known: max_bytes, min_free, max_age, when_full,'
                    " commit_interval"
                ),
                (
                    "gateway.zzz: unknown key; known: name, data_dir, tags, decoders, clock,"
                    " clock_wait"
                ),
            ],
        ),
        (
            '[[mqtt]]\nname = "m"\nurl = "mqtt://h"\nsubscribe = []\nca_file = "/dev/null"',
            [
                'mqtt[0] "m": ca_file: is for TLS: write mqtts:// in url',
                (
                    'mqtt[0] "m": subscribe: found a list; allowed: at least one'
                    ' { topic = "...", decoder = "..." }'
                ),
            ],
        ),
        (
            '[[serial]]\nname = "s"\nport = "/dev/a"\ndecoder = "text"\ncolumns = []',
            [
                (
                    'serial[0] "s": columns: found a list; the decoder says:'
                    " at least one; separator: one character"
                )
            ],
        ),
        (
            (
                '[[serial]]\nname = "s"\nport = "/dev/a"\ndecoder = "text"\nseparator = ";"\n'
                'columns = ["", { name = 5 }]'
            ),
            [
                'serial[0] "s": columns[1].name: found 5; the decoder says: it is empty',
                'serial[0] "s": decoder: found "text"; the decoder says: rows: there are none',
            ],
        ),
    ],
)
def test_a_problem_says_where_what_and_what_else(
    problems: Problems, text: str, expected: list[str]
) -> None:
    assert sorted(problems(text)) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[gateway]\nname = mast", "line 2: no value: text, durations and sizes stand in quotes"),
        ("a = 1\nb = 10s\nc = 2", "line 2: something follows a complete value"),
        ('a = "x\nb = 1', "line 1: a quote is not closed"),
        ("a = 1\na = 2\nb = 1", "line 2: this key is set already"),
        ("[a]\n[b]\n[a]\nc = 1", "line 3: this section is there already"),
        ("name", "at the end: a key without = and a value"),
        ("= 3\n", "line 1: neither a [section] nor key = value"),
        ('a = "C:\\q"\n', "line 1: a backslash in text is written"),
        ("a = { b = 1, b = 2 }\n", "line 1: a key stands twice in one { }"),
        ("a = [1, 2\nb = 3", "line 2: a list is not closed with ]"),
    ],
)
def test_a_mistake_in_the_syntax_is_told_with_its_line(
    problems: Problems, text: str, line: str
) -> None:
    (problem,) = problems(text)
    assert problem.partition("gateway.toml: ")[2].startswith(line)
