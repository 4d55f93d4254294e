# What ./demo and ./test share: make the virtual environment, install servers. Sourced, not run.

say() { printf '\n== %s\n' "$*"; }

# make_environment EXTRA: .venv with this project, editable, and the extra's packages.
# Quick the second time: a stamp holds what it was made from.
make_environment() {
    python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "Python 3.11 or newer is needed, $("$python" --version) was found." >&2
        echo "Set PYTHON to another interpreter: PYTHON=python3.12 $0" >&2
        exit 1
    }
    stamp=".venv/made-for-$1"
    if [ -e "$stamp" ] && cmp -s pyproject.toml "$stamp"; then
        return
    fi
    say "virtual environment in .venv, with the packages of [$1]; takes a minute the first time"
    if [ ! -x .venv/bin/python ]; then
        "$python" -m venv .venv || {
            echo "On Debian and Raspberry Pi OS: sudo apt install python3-venv" >&2
            exit 1
        }
    fi
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$1]"
    cp pyproject.toml "$stamp"
}

# install_servers: what the integration tests run against, where apt is there and allowed.
# Tests whose server is missing are skipped and say so.
install_servers() {
    missing=""
    for pair in mosquitto:mosquitto influxd:influxdb chromium:chromium; do
        command=${pair%%:*}
        if ! PATH="$PATH:/usr/sbin" command -v "$command" >/dev/null 2>&1; then
            missing="$missing ${pair##*:}"
        fi
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 || return 0
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        echo "Not installed, and no right to install:$missing (sudo apt install$missing)" >&2
        return 0
    fi
    say "servers for the integration tests, from Debian:$missing"
    # Only the programs are wanted: policy-rc.d keeps their services from being started.
    $as_root sh -c "
        export DEBIAN_FRONTEND=noninteractive
        policy=/usr/sbin/policy-rc.d
        if [ ! -e \$policy ]; then
            printf '#!/bin/sh\\nexit 101\\n' >\$policy && chmod +x \$policy
            trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        fi
        apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing
    " >/dev/null || echo "apt could not install$missing; their tests will be skipped" >&2
}
