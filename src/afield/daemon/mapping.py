"""Says what to start there for what was asked here: arguments, working folder and environment. Pure.

Rules: a local absolute path inside the project becomes the path there, in every form that tools write it
(``--opt=/p``, ``/p::test``, ``/a:/b``, ``file:///p``); everything else stays byte for byte; code after ``-c`` is code.
Variables travel only when they are listed; what means something only here never does. What must not go in: I/O.
"""

from __future__ import annotations

import fnmatch
import functools
import json
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from afield.daemon import activation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from afield.daemon.run_wire import RunRequest

# Python's own options (`python --help`, 3.6 to 3.14): flags that may be bundled, and those that take a value.
_FLAGS = frozenset(b"bBdEhiIOPqRsSuvVx?t")
_VALUED = frozenset(b"WX")
_LONG_VALUED = (b"--check-hash-based-pycs",)

# What means something only on the machine that set it.
_LOCAL_NAMES = frozenset(
    (
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "MAIL",
        "TMPDIR",
        "TMP",
        "TEMP",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
        "HOSTNAME",
        "PYTHONHOME",
        "PYTHONUSERBASE",
        "PYTHONEXECUTABLE",
        "PYTHONPLATLIBDIR",
        "VIRTUAL_ENV",
        "VIRTUAL_ENV_PROMPT",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "XAUTHORITY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "PIP_CERT",
        "PIP_CLIENT_CERT",
        "PIP_FIND_LINKS",
        "PIP_CONFIG_FILE",
        "PIP_CACHE_DIR",
        "PIP_REQUIRE_VIRTUALENV",
        "JPY_PARENT_PID",
        "KRB5CCNAME",
        "__PYVENV_LAUNCHER__",
    )
)
_LOCAL_PREFIXES = (
    "XDG_",
    "LD_",
    "DYLD_",
    "CONDA_",
    "PYENV_",
    "SSH_",
    "DBUS_",
    "AFIELD_",
    "GPG_",
    "TMUX",
    "VSCODE_",
    "PIP_LOG",
)
# What changes how a program looks or how Python runs, and names nothing of here.
_WELCOME = (
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR*",
    "COLORTERM",
    "PY_COLORS",
    "PYTHON*",
    "PYTEST_*",
    "DEBUGPY_*",
    "PYDEVD_*",
)
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|APIKEY|API_KEY|ACCESS_KEY|PRIVATE", re.IGNORECASE)

_BEFORE = rb"(?:^|(?<=[=:,;@'\"\[(])|(?<=file://))"
_AFTER = rb"(?=$|[/:,;?#\])'\"])"


class Target(NamedTuple):
    """The project on both sides. ``there`` is absolute; ``roots`` are the names the project has here (the real one first).

    ``more``: further folders, as (here, there).
    """

    roots: tuple[bytes, ...]
    there: bytes
    python: bytes | None
    env: Mapping[str, str]
    forward_env: tuple[str, ...]
    active: activation.Activation = activation.NONE
    more: tuple[tuple[bytes, bytes], ...] = ()

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
    travelling = [text for name, text in request.env.items() if travels(name.decode("latin-1"), target.forward_env)]
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
    paths = PathMap(target.roots, target.there, target.more)
    cwd = paths.path(request.cwd)
    if request.mode == "python":
        argv = _python_argv(request, target, paths, inside=cwd is not None)
    else:
        argv = [paths.argument(word) for word in request.argv]
    cwd = cwd or target.there
    tty: dict[str, object] | None = None
    if {"0", "1", "2"} <= set(request.flags):
        tty = {"rows": request.rows, "cols": request.cols, "term": request.term.decode("ascii", "replace") or "dumb"}
    env = plan_env(request, target, paths, cwd)
    active = target.active
    if request.mode == "python" and argv[0] != (target.python or b"python3"):
        # A virtual environment inside the project was named outright: only the project's own lines hold for it.
        active = activation.Activation(setup=active.project_setup, project_setup=active.project_setup)
    env = {**active.env, **env}
    if request.mode != "shell":
        argv = activation.wrap(argv, active)
    return Plan(argv, cwd, env, tty, request.mode == "shell", active.path)


def header_of(plan: Plan, number: bytes, label: str) -> dict[str, object]:
    """Give the header of the ``process`` stream that starts it."""
    header: dict[str, object] = {"do": "process", **plan._asdict(), "unset": [], "id": number, "label": label}
    return {**header, "path": list(plan.path), "mkdir": True}


def _python_argv(request: RunRequest, target: Target, paths: PathMap, *, inside: bool) -> list[bytes]:
    words = list(request.argv)
    script, program = split_python(words)
    out = [interpreter(request.argv0, target, paths), *words[:script]]
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
    """Give the Python to start: that of a venv in the project when it was started by the venv's name, else the machine's."""
    folder, name = posixpath.split(argv0)
    if name.startswith(b"python") and posixpath.basename(folder) == b"bin":
        inner = paths.path(folder)
        if inner is not None and not inner.startswith(paths.there + b"/.afield"):
            return posixpath.join(inner, name)
    return target.python or b"python3"


def split_python(words: list[bytes]) -> tuple[int, int]:
    """Give (index of the script, index of the program's first argument) by Python's own grammar.

    Both are equal when there is no script: after ``-c CODE`` and ``-m MODULE``, or nothing at all.
    """
    at = 0
    while at < len(words):
        word = words[at]
        if word == b"--":
            return min(at + 1, len(words)), min(at + 2, len(words))
        if word == b"-" or not word.startswith(b"-"):
            return at, at + 1
        if word.startswith(b"--"):
            at += 2 if word in _LONG_VALUED else 1
            continue
        ends, takes = _bundle(word[1:])
        if ends:
            after = min(at + 1 + takes, len(words))
            return after, after
        at += 1 + takes
    return len(words), len(words)


def _bundle(letters: bytes) -> tuple[bool, int]:
    """Read one bundle of short options: does it end the options, and does it take the next word?"""
    for index, letter in enumerate(letters):
        rest = letters[index + 1 :]
        if letter in b"cm":
            return True, 0 if rest else 1
        if letter in _VALUED:
            return False, 0 if rest else 1
        if letter not in _FLAGS:
            return False, 0
    return False, 0


def plan_env(request: RunRequest, target: Target, paths: PathMap, cwd: bytes) -> dict[str, bytes]:
    """Give the variables that are set there; names are latin-1 text, as the wire wants them."""
    env = {}
    for raw, value in request.env.items():
        name = raw.decode("latin-1")
        if travels(name, target.forward_env):
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


# Asked for each variable of each run, and the names hardly change between runs.
@functools.lru_cache(maxsize=4096)
def travels(name: str, patterns: tuple[str, ...]) -> bool:
    """Say whether the variable goes along: named outright, or matched and not one of here, or known to be welcome."""
    if not name or "=" in name:
        return False
    if name in patterns:
        return True
    if name in _LOCAL_NAMES or name.startswith(_LOCAL_PREFIXES):
        return False
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in _WELCOME):
        return not _SECRET.search(name)
    for pattern in patterns:
        if fnmatch.fnmatchcase(name, pattern):
            # A bare star means "my settings", not "my passwords"; WANDB_* means what it says.
            return pattern.strip("*?") != "" or not _SECRET.search(name)
    return False


def _mapped_value(name: str, value: bytes, paths: PathMap) -> bytes | None:
    if name == "PYTHONPATH":
        entries = [paths.path(entry) if entry.startswith(b"/") else entry for entry in value.split(b":")]
        kept = [entry for entry in entries if entry is not None]
        return b":".join(kept) if kept and value else None
    if name in ("PYTHONSTARTUP", "PYTHONPYCACHEPREFIX"):
        return paths.path(value) if value.startswith(b"/") else None
    return paths.argument(value)
