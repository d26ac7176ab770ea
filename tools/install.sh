#!/bin/sh
# install.sh VENV [WHEEL]: puts the wheel, or one built from here, into the environment; what it needs is there already (env.sh).
set -eu
venv=$1 wheel=${2:-}
if [ -z "$wheel" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    "$venv/bin/python" -m build --wheel --no-isolation --outdir "$work" . >/dev/null
    wheel=$(echo "$work"/*.whl)
fi
if uv --version >/dev/null 2>&1; then
    uv pip install --quiet --python "$venv/bin/python" --no-deps --reinstall "$wheel"
else
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheel"
fi
