"""Which paths outside the project a command names, and in which role. Pure.

Rules: only what is written as an absolute path counts, in the forms that tools use (``--opt=/p``, ``/a:/b``, ``kind:/p``,
``file:///p``, quoted in the code after ``-c``); of the environment only the variables that tools use to name files to an
interpreter. Any other variable may name credentials. What must not go in: what is done with a path (closure, carrying).
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from afield.daemon import arguments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from afield.daemon.mapping import PathMap
    from afield.daemon.run_wire import RunRequest

# Roles. A script brings what it imports; a named file travels and comes back; a search folder is there to be imported from.
SCRIPT, ARGUMENT, CODE, SEARCH, VARIABLE = "script", "argument", "code", "search", "variable"

# What editors and tools use to name files to an interpreter (VS Code's test adapters, debugpy, coverage, Jupyter).
_FILES = frozenset((b"PYTHONSTARTUP", b"TEST_RUN_PIPE", b"RUN_TEST_IDS_PIPE", b"DEBUGPY_ADAPTER_ENDPOINTS"))
_PREFIXES = (b"COVERAGE_", b"JUPYTER_")
# These name folders of the user's own with everything in them; a program there has its own.
_NEVER = frozenset(
    (b"JUPYTER_CONFIG_DIR", b"JUPYTER_DATA_DIR", b"JUPYTER_PATH", b"JUPYTER_CONFIG_PATH", b"JUPYTER_TOKEN")
)

_IN_TEXT = re.compile(rb"(?:^|(?<=[=:,;@'\"\[(])|(?<=file://))/(?!/)[^:,;?#'\"\])\n\0]+")


class Named(NamedTuple):
    """A path as it is meant (normalised), and its role."""

    path: bytes
    role: str


def named(request: RunRequest, paths: PathMap) -> list[Named]:
    """Give what a python run names outside the project, each path once, the strongest role first."""
    found: dict[bytes, Named] = {}
    if request.mode == "python":
        for path, role in _named(request):
            clean = posixpath.normpath(path)
            if clean.startswith(b"/") and clean.strip(b"/") and paths.path(clean) is None:
                found.setdefault(clean, Named(clean, role))
    return list(found.values())


def _named(request: RunRequest) -> Iterator[tuple[bytes, str]]:
    words = request.argv
    script, program = arguments.split_python(words)
    if script < program and words[script] != b"-":
        yield posixpath.join(request.cwd, words[script]), SCRIPT
    for path in arguments.paths_in_code(words):
        yield path, CODE
    for word in words[program:]:
        for path in in_text(word):
            yield path, ARGUMENT
    yield from _in_environment(request.env)


def in_text(word: bytes) -> list[bytes]:
    """Give the absolute paths in one argument."""
    if b"/" not in word or len(word) > 65536:
        return []
    return [match.group() for match in _IN_TEXT.finditer(word)]


def _in_environment(env: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, str]]:
    for entry in env.get(b"PYTHONPATH", b"").split(b":"):
        if entry.startswith(b"/"):
            yield entry, SEARCH
    for name, value in env.items():
        if value.startswith(b"/") and (name in _FILES or (name.startswith(_PREFIXES) and name not in _NEVER)):
            yield value, VARIABLE
