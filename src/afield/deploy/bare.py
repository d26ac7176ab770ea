"""Sources without what only a reader needs: docstrings and comments go, each statement stays on its line. Pure.

A third of what a first contact sends is text for people. Rules: by pattern and not by parser, because every dial that is not
remembered passes here (25 ms against a second); the patterns know the style of this project, and a test holds what they leave to the syntax tree of
the original, so what they do not know is found there and not at a place.
"""

from __future__ import annotations

import re

# A string in three double quotes that is a statement: alone on its lines.
_DOCSTRING = re.compile(rb'^( *)"""(?:[^"\\]|\\.|"(?!""))*"""$', re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(rb"^ *#[^\n]*$", re.MULTILINE)
# Behind a statement: a quote in it could mean that the number sign is in a string.
_REMARK = re.compile(rb"  # [^\"'\n]*$", re.MULTILINE)


def bare(source: bytes) -> bytes:
    """Give a module's source with empty docstrings and without comments; line numbers, and so tracebacks, stay true."""
    source = _DOCSTRING.sub(lambda found: found[1] + b'""' + b"\n" * found[0].count(b"\n"), source)
    return _REMARK.sub(b"", _COMMENT.sub(b"", source))
