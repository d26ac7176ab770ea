"""What it means to run in an environment: interpreter, PATH, variables, shell lines before. Pure.

The lines run in bash where there is one (``source`` and ``module`` are its words), else in sh, with no input and with their
output on stderr, so that the program's own streams stay clean; the first line that fails ends the run with its reason.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# EX_CONFIG of sysexits(3): the program was not started.
FAILED = 78
# Where the word `module` comes from: a login shell would have read one of these.
_MODULES = (
    "/etc/profile.d/lmod.sh",
    "/etc/profile.d/z00_lmod.sh",
    "/etc/profile.d/modules.sh",
    "/usr/share/lmod/lmod/init/bash",
    "/usr/share/modules/init/bash",
    "/usr/share/Modules/init/bash",
    "/opt/lmod/lmod/init/bash",
)
# Tools whose interpreters stand in `bin` beside nothing else that a program should meet in PATH by accident.
_NOT_IN_PATH = ("system", "module")


class Activation(NamedTuple):
    """``path``: folders before PATH; ``setup``: all lines, ``project_setup``: those that hold without an environment, too."""

    python: bytes | None = None
    path: tuple[bytes, ...] = ()
    env: Mapping[str, bytes] = {}
    setup: tuple[str, ...] = ()
    project_setup: tuple[str, ...] = ()


NONE = Activation()


def activation_of(env: Mapping[str, Any], setup: tuple[str, ...], project_setup: tuple[str, ...]) -> Activation:
    """Say what to do for one environment of the agent's list. ``setup`` are the user's lines for it."""
    kind, prefix = env["kind"], bytes(env["path"])
    python = bytes(env["python"]) if env["python"] else None
    lines = [*project_setup, *(env.get("setup") or ())]
    variables: dict[str, bytes] = {}
    if kind in ("conda", "pixi"):
        variables = {"CONDA_PREFIX": prefix, "CONDA_DEFAULT_ENV": str(env["name"]).encode("utf-8")}
        if env.get("scripts"):
            lines.append(f'for _s in {shlex.quote(os.fsdecode(prefix))}/etc/conda/activate.d/*.sh; do . "$_s"; done')
    elif kind not in (*_NOT_IN_PATH, "pyenv", "uv-python", "mise", "asdf", "rye", "python"):
        variables = {"VIRTUAL_ENV": prefix}
    path = () if kind in _NOT_IN_PATH or python is None else (os.path.dirname(python),)
    return Activation(python or b"python3", path, variables, (*lines, *setup), project_setup)


def wrap(argv: list[bytes], active: Activation) -> list[bytes]:
    """Give the command that runs the lines and then becomes argv; argv itself when there are none."""
    if not active.setup:
        return argv
    outer = b'b=$(command -v bash) || b=/bin/sh; s=$1; shift; exec "$b" -c "$s" afield "$@"'
    return [b"/bin/sh", b"-c", outer, b"afield", _script(active).encode("utf-8", "surrogateescape"), *argv]


def _script(active: Activation) -> str:
    parts = ["exec 9>&1 1>&2"]
    if any(word in ("module", "ml") for line in active.setup for word in line.split()[:1]):
        files = " ".join(_MODULES)
        parts.append(
            f'command -v module >/dev/null 2>&1 || for _f in {files}; do if [ -r "$_f" ]; then . "$_f"; break; fi; done'
        )
    for line in active.setup:
        said = shlex.quote(f"afield: this setup line failed there: {line}")
        parts.append("{ " + line + "\n} </dev/null || { printf '%s\\n' " + said + f" >&2; exit {FAILED}; }}")
    if active.path:
        # After the lines: a module may bring another Python.
        folders = ":".join(os.fsdecode(folder) for folder in active.path)
        parts.append(f"PATH={shlex.quote(folders)}:$PATH; export PATH")
    parts.append('exec 1>&9 9>&-; exec "$@"')
    return "\n".join(parts)
