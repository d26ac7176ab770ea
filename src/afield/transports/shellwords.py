r"""The remote command as one line that every login shell takes the same way: sh, bash, zsh, dash, fish, csh, tcsh.

Rules: single quotes, and inside them none of ``'``, ``\\`` and ``!``, on which those shells differ (fish reads ``\\`` inside
quotes, csh expands ``!`` there): these stand outside, behind a backslash, which all of them read alike. No line breaks: csh
cannot quote them. The login shell sees plain words and nothing of its own syntax, and ``exec``, so that it does not stay.
"""

from __future__ import annotations

import re

from afield.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z0-9_./:=+@%,-]+\Z")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
_OUTSIDE = re.compile(r"(['\\!]+)")

# In the order in which they are tried when `python3` is missing or too old: the newest of the usual names, then the usual folders.
_MINORS = (14, 13, 12, 11, 10, 9, 8, 7, 6)
USUAL = (
    "python3",
    *(f"python3.{minor}" for minor in _MINORS),
    "/usr/bin/python3",
    "/usr/local/bin/python3",
    "/opt/homebrew/bin/python3",
    "$HOME/.local/bin/python3",
    "$HOME/miniconda3/bin/python3",
    "$HOME/miniforge3/bin/python3",
    "$HOME/anaconda3/bin/python3",
    "/opt/conda/bin/python3",
    "/usr/libexec/platform-python",
    "python",
)

# One login answers all the questions (a one-time password is good for one login). The names need no quotes: they are ours.
# Exit 127 says: none; the line on stderr says which old ones there are. A name that exists but is too old does not count.
_SEARCH = (
    "for p in {names}; do if command -v $p >/dev/null 2>&1; then "
    'if {test}; then exec $p -I -S -c "$0"; fi; old="$old $p"; fi; done; echo "afield: no usable python:$old" >&2; exit 127'
)
# `python3` itself is not asked: that would cost 10 ms at every first dial, and the starter tells when it is too old.
_FIRST = (
    'case $p in python3) true;; *) $p -I -S -c "import sys; sys.exit(sys.version_info < (3, 6))" >/dev/null 2>&1;; esac'
)
_OTHERS = '$p -I -S -c "import sys; sys.exit(sys.version_info < (3, 6))" >/dev/null 2>&1'


def quote(word: str) -> str:
    """Quote one word for any login shell; a leading ``~/`` stays for the shell to expand.

    Raises ConfigError for a word that the shells would not read alike.
    """
    tilde, rest = ("~/", word[2:]) if word.startswith("~/") else ("", word)
    if _UNSAFE.search(rest):
        raise ConfigError(
            f"{word!r} holds a control character, which login shells read differently",
            hint="give a path without it, such as a symbolic link",
        )
    if _PLAIN.match(rest):
        return tilde + rest
    parts = _OUTSIDE.split(rest)
    quoted = [
        f"'{part}'" if index % 2 == 0 else "".join("\\" + char for char in part) for index, part in enumerate(parts)
    ]
    return tilde + ("".join(part for part in quoted if part != "''") or "''")


def run_python(python: str, starter: str) -> str:
    """Give the line that runs the starter under one named Python."""
    return f"exec {quote(python)} -I -S -c {quote(starter)}"


def search_python(starter: str, *, trust_python3: bool = True) -> str:
    """Give the line that runs the starter under the first usable Python there; the search itself runs in ``/bin/sh``."""
    names = USUAL if trust_python3 else USUAL[1:]
    script = _SEARCH.format(names=" ".join(names), test=_FIRST if trust_python3 else _OTHERS)
    return f"exec /bin/sh -c {quote(script)} {quote(starter)}"
