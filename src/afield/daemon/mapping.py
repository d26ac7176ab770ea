"""Says what to start there for what was asked here: arguments, working folder and environment. Pure.

Rules: a local absolute path inside the project becomes the path there, in every form that tools write it
(``--opt=/p``, ``/p::test``, ``/a:/b``, ``file:///p``); everything else stays byte for byte; code after ``-c`` is code.
Variables travel only when they are listed; what means something only here never does. What must not go in: I/O.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from afield.daemon import activation, variables
from afield.daemon.arguments import map_code, split_python
from afield.errors import CommandNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from afield.daemon.run_wire import RunRequest

_BEFORE = rb"(?:^|(?<=[=:,;@'\"\[(])|(?<=file://))"
_AFTER = rb"(?=$|[/:,;?#\])'\"])"


class Target(NamedTuple):
    """The project on both sides. ``there`` is absolute; ``roots`` are the names the project has here (the real one first).

    ``more``: further folders, as (here, there); ``carried``: what was brought for this run from outside the project;
    ``view``: the view there in which all this holds (protocol.md, section 6).
    """

    roots: tuple[bytes, ...]
    there: bytes
    python: bytes | None
    env: Mapping[str, str]
    forward_env: tuple[str, ...]
    active: activation.Activation = activation.NONE
    more: tuple[tuple[bytes, bytes], ...] = ()
    carried: tuple[tuple[bytes, bytes], ...] = ()
    view: bytes | None = None

    @property
    def paths(self) -> PathMap:
        """What becomes of paths."""
        return PathMap(self.roots, self.there, (*self.more, *self.carried))

    @property
    def at_a_home(self) -> bool:
        """Whether a path there is given from the home folder."""
        return any(path.startswith(b"~") for path in (self.there, self.python or b"", *(far for _, far in self.more)))

    def at_home(self, home: bytes) -> Target:
        """Give the same with ``~`` written out."""
        more = tuple((here, home + far[1:] if far.startswith(b"~") else far) for here, far in self.more)
        python = self.python
        if python is not None and python.startswith(b"~/"):
            python = home + python[1:]
        there = home + self.there[1:] if self.there.startswith(b"~") else self.there
        return self._replace(there=there, python=python, more=more)


class Plan(NamedTuple):
    """The fields of a ``process`` stream."""

    argv: list[bytes]
    cwd: bytes
    env: dict[str, bytes]
    tty: dict[str, object] | None
    login: bool
    path: tuple[bytes, ...] = ()
    view: bytes | None = None

    def header(self) -> dict[str, object]:
        """Give the header of the stream, without what names the run."""
        fields = {name: getattr(self, name) for name in ("argv", "cwd", "env", "tty", "login", "view")}
        return {"do": "process", **fields, "unset": [], "mkdir": True, "path": list(self.path)}


class PathMap:
    """Turns local paths inside the project and its further folders into paths there; the innermost folder counts."""

    def __init__(self, roots: Iterable[bytes], there: bytes, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.there = there.rstrip(b"/") or b"/"
        pairs = [(root, self.there) for root in roots] + [(here, far.rstrip(b"/") or b"/") for here, far in more]
        self.pairs = sorted(
            ((here.rstrip(b"/"), far) for here, far in pairs if here.rstrip(b"/")), key=lambda pair: -len(pair[0])
        )
        names = b"|".join(re.escape(here) for here, _ in self.pairs)
        self._pattern = re.compile(_BEFORE + rb"(?:" + names + rb")" + _AFTER + rb"[^:,;?#'\"\])]*") if names else None

    def path(self, path: bytes) -> bytes | None:
        """Give the path there of an absolute path here; None when it is outside the project."""
        clean = posixpath.normpath(path)
        for here, there in self.pairs:
            if clean == here:
                return there
            if clean.startswith(here + b"/"):
                return posixpath.join(there, clean[len(here) + 1 :])
        return None

    def argument(self, text: bytes) -> bytes:
        """Give text with each path inside the project mapped; the same bytes when there is none."""
        if self._pattern is None or b"/" not in text:
            return text
        return self._pattern.sub(self._replace, text)

    def _replace(self, match: re.Match[bytes]) -> bytes:
        found = match.group()
        mapped = self.path(found)
        if mapped is None:
            return found
        # normpath takes a final slash away; to rsync-like tools it means something.
        return mapped + b"/" if found.endswith(b"/") and not mapped.endswith(b"/") else mapped


def needs_home(request: RunRequest, target: Target) -> bool:
    """Say whether the absolute folder there must be known: python runs map paths, others only when one is named."""
    if not target._replace(python=target.python if request.mode == "python" else None).at_a_home:
        return False
    if request.mode == "python":
        return True
    travelling = [
        text for name, text in request.env.items() if variables.travels(name.decode("latin-1"), target.forward_env)
    ]
    roots = (*target.roots, *(here for here, _ in target.more))
    return any(root in text for root in roots for text in (*request.argv, *travelling))


def roots_of(request: RunRequest, project: bytes) -> tuple[bytes, ...]:
    """Give the names that the project has here: its real folder and, when the shell came through a symlink, that one."""
    logical = request.env.get(b"PWD", b"")
    inside = request.cwd == project or request.cwd.startswith(project + b"/")
    rest = request.cwd[len(project) :]
    if inside and logical.startswith(b"/") and logical.endswith(rest) and logical != request.cwd:
        root = logical[: len(logical) - len(rest)] if rest else logical
        if len(root) > 1:
            return (project, root.rstrip(b"/"))
    return (project,)


def plan(request: RunRequest, target: Target) -> Plan:
    """Say what to start there."""
    paths = target.paths
    cwd = paths.path(request.cwd)
    if request.mode == "python":
        argv = _python_argv(request, target, paths, inside=cwd is not None)
    else:
        argv = [paths.argument(word) for word in request.argv]
    cwd = cwd or target.there
    tty: dict[str, object] | None = None
    if {"0", "1", "2"} <= set(request.flags):
        tty = {"rows": request.rows, "cols": request.cols, "term": request.term.decode("ascii", "replace") or "dumb"}
        # Only what differs from what a new terminal does.
        tty |= {name: False for letter, name in (("e", "echo"), ("l", "returns")) if letter in request.flags}
    env = plan_env(request, target, paths, cwd)
    active = target.active
    if request.mode == "python" and argv[0] != (target.python or b"python3"):
        # A virtual environment inside the project was named outright: only the project's own lines hold for it.
        active = activation.Activation(setup=active.project_setup, project_setup=active.project_setup)
    env = {**active.env, **env}  # a new one: the run adds its own word
    if request.mode != "shell":
        argv = activation.wrap(argv, active)
    return Plan(argv, cwd, env, tty, request.mode == "shell", active.path, target.view)


def _python_argv(request: RunRequest, target: Target, paths: PathMap, *, inside: bool) -> list[bytes]:
    words = list(request.argv)
    script, program = split_python(words)
    before = map_code(words[:script], PathMap((), b"", target.carried).path) if target.carried else words[:script]
    out = [interpreter(request.argv0, target, paths), *before]
    if script < program:
        word = words[script]
        if not inside and not word.startswith(b"/"):
            # The run stands in the project folder there, so a script named from outside needs its whole path.
            whole = paths.path(posixpath.join(request.cwd, word))
            out.append(whole if whole is not None else word)
        else:
            out.append(paths.argument(word))
    return out + [paths.argument(word) for word in words[program:]]


def interpreter(argv0: bytes, target: Target, paths: PathMap) -> bytes:
    """Give the Python to start: that of a venv in the project when it was started by the venv's name, else the machine's.

    Raises CommandNotFound for a venv elsewhere.
    """
    folder, name = posixpath.split(argv0)
    if name.startswith(b"python") and posixpath.basename(folder) == b"bin":
        inner = paths.path(folder)
        if inner is None:
            raise CommandNotFound(
                f"the environment {os.fsdecode(posixpath.dirname(folder))} was made on this project's interpreter, but lies outside "
                "the project: it is not there",
                hint="make it inside the project (virtualenvs.in-project = true for poetry, dirs.env.virtual for hatch)",
            )
        if not inner.startswith(paths.there + b"/.afield"):
            return posixpath.join(inner, name)
    return target.python or b"python3"


def plan_env(request: RunRequest, target: Target, paths: PathMap, cwd: bytes) -> dict[str, bytes]:
    """Give the variables that are set there; names are latin-1 text, as the wire wants them."""
    env = {}
    for raw, value in request.env.items():
        name = raw.decode("latin-1")
        if variables.goes(name, value, target.forward_env, everything=request.mode == "python"):
            mapped = _mapped_value(name, value, paths)
            if mapped is not None:
                env[name] = mapped
    if cwd.startswith(b"/"):
        env["PWD"] = cwd
    if request.mode == "python" and target.there.startswith(b"/"):
        # pydevd and debugpy read this themselves, so breakpoints set by local paths hit there.
        sides = [(target.roots[0], target.there), *target.more]
        # The innermost first: pydevd takes the first that fits.
        sides.sort(key=lambda pair: -len(pair[0]))
        pairs = [[path.decode("utf-8", "surrogateescape") for path in pair] for pair in sides if pair[0] != pair[1]]
        if pairs:
            env["PATHS_FROM_ECLIPSE_TO_PYTHON"] = json.dumps(pairs).encode("ascii")
    for name, text in target.env.items():
        env[name] = text.encode("utf-8", "surrogateescape")
    return env


def _mapped_value(name: str, value: bytes, paths: PathMap) -> bytes | None:
    if name == "PYTHONPATH":
        entries = [paths.path(entry) if entry.startswith(b"/") else entry for entry in value.split(b":")]
        kept = [entry for entry in entries if entry is not None]
        return b":".join(kept) if kept and value else None
    if name in ("PYTHONSTARTUP", "PYTHONPYCACHEPREFIX"):
        return paths.path(value) if value.startswith(b"/") else None
    return paths.argument(value)
