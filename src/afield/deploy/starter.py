"""The text for ``python3 -I -S -c``: stage 1 with its arguments baked in, deflated, in base64, on one line.

The line holds letters, digits, a space and ``+/=.,;()_"`` only, so no login shell, no job scheduler and no container tool changes it.
``quote_for_login_shell`` makes one command line of any arguments that sh, bash, dash, zsh, csh, tcsh and fish read alike.
No transport is known here.
"""

from __future__ import annotations

import binascii
import functools
import os
import zlib

from afield.deploy.bundle import Bundle
from afield.errors import InternalError, UsageError

# Argument lists are limited to 128 KiB per string, but login shells, batch systems and logs show it: one screenful.
LARGEST = 4096

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@,+-")
# Outside of quotes a backslash makes these plain in every shell; inside single quotes csh or fish would still see them.
_OUTSIDE = {"'": "\\'", "\\": "\\\\", "!": "\\!"}


def render(bundle: Bundle, home: str | None = None) -> str:
    """Make the program that starts the agent of this bundle; ``home`` is the AFIELD_HOME of the place.

    Raises InternalError when it would be longer than LARGEST, UsageError for a home that is no path.
    """
    if home is not None and ("\0" in home or not home.startswith("/")):
        raise UsageError(f"expected an absolute folder as AFIELD_HOME of the place, got {home!r}")
    arguments = f"HASH = '{bundle.sha256}'\nHOME = {home or ''!a}\n"
    deflated = zlib.compress((arguments + _stage1()).encode("ascii"), 9)
    packed = binascii.b2a_base64(deflated, newline=False).decode("ascii")
    text = f'import binascii,zlib;exec(zlib.decompress(binascii.a2b_base64("{packed}")))'
    if len(text) > LARGEST:
        raise InternalError(f"expected a starter of at most {LARGEST} characters, got {len(text)}")
    return text


@functools.cache
def _stage1() -> str:
    """Give the program without its comment lines, indented by one."""
    with open(os.path.join(os.path.dirname(__file__), "stage1.py.txt"), encoding="ascii") as file:
        lines = file.read().splitlines()
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return "".join(f"{' ' * ((len(line) - len(line.lstrip())) // 4)}{line.lstrip()}\n" for line in kept)


def quote_for_login_shell(argv: list[str], *, replace: bool = True) -> str:
    """Make the command line that any login shell turns into exactly these arguments.

    ``replace``: begin with ``exec``, so that the shell does not stay as one more process. Raises UsageError for a line break
    or NUL, which csh cannot quote.
    """
    for item in argv:
        if "\n" in item or "\0" in item or "\r" in item:
            raise UsageError(f"expected arguments without line breaks for a login shell, got {item!r}")
    words = [_quote(item) for item in argv]
    return " ".join(["exec", *words] if replace else words)


def _quote(item: str) -> str:
    # An = first is a zsh expansion, a - first is not; % is a job in fish: neither is plain.
    if item and all(char in _PLAIN for char in item):
        return item
    out, inside = "", False
    for char in item:
        if (char in _OUTSIDE) == inside:
            out += "'"
            inside = not inside
        out += _OUTSIDE.get(char, char)
    if not item:
        return "''"
    return out + "'" if inside else out
