#!/bin/sh
# env.sh VENV REQUIREMENTS: makes the environment VENV with what REQUIREMENTS pins, by hash. uv where it is there, else venv and pip.
set -eu
venv=$1 requirements=$2

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11 /usr/bin/python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$name" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    say "no Python 3.11 or newer was found (looked for python3, python3.11 to python3.13)"
    say "hint: install one, or name it: make PYTHON=/path/to/python3 …"
    exit 1
}

has_uv() { uv --version >/dev/null 2>&1; }

make_venv() {
    python=$(find_python)
    if has_uv; then
        uv venv --quiet --clear --python "$python" "$venv"
        return
    fi
    rm -rf "$venv"
    if "$python" -m venv "$venv" >/dev/null 2>&1; then return; fi
    # Debian's python3 comes without ensurepip.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "python3 -m venv does not work here: installing python3-venv"
        rm -rf "$venv"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3-venv >/dev/null
        find_venv_python
        return
    fi
    say "python3 -m venv does not work here, and uv is not installed"
    say "hint: as root, apt-get install python3-venv (or your system's name for it)"
    exit 1
}

find_venv_python() {
    for name in "$python" /usr/bin/python3; do
        rm -rf "$venv"
        if "$name" -m venv "$venv" >/dev/null 2>&1; then return; fi
    done
    say "no environment could be made with $python, although python3-venv is installed"
    exit 1
}

# A finished environment ends with its Python running; anything else was cut in the middle.
"$venv/bin/python" -c 'import sys' 2>/dev/null || make_venv
if has_uv; then
    uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$requirements"
else
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$requirements"
fi
