"""Python's own grammar of a command line: where its options end, where code stands. Pure.

``python --help`` of 3.6 to 3.14: flags may be bundled, values stand apart or glued, ``-c`` and ``-m`` end the options and may be
the last letter of a bundle. What must not go in: what becomes of an argument (mapping).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FLAGS = frozenset(b"bBdEhiIOPqRsSuvVx?t")
_VALUED = frozenset(b"WX")
_LONG_VALUED = (b"--check-hash-based-pycs",)
_QUOTED = re.compile(rb"(?<=['\"])(/[^'\"\n\0:]+)(?=['\"])")


def split_python(words: Sequence[bytes]) -> tuple[int, int]:
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
        ends, takes, _ = _bundle(word)
        if ends:
            after = min(at + 1 + takes, len(words))
            return after, after
        at += 1 + takes
    return len(words), len(words)


def _bundle(word: bytes) -> tuple[bytes, int, int]:
    """Read one bundle of short options: what ends the options (``c``, ``m`` or nothing), words it takes, where its value begins."""
    for index in range(1, len(word)):
        letter = word[index : index + 1]
        glued = index + 1 < len(word)
        if letter in b"cm":
            return letter, 0 if glued else 1, index + 1
        if letter[0] in _VALUED:
            return b"", 0 if glued else 1, index + 1
        if letter[0] not in _FLAGS:
            break
    return b"", 0, len(word)


def code_of(words: Sequence[bytes]) -> tuple[int, int] | None:
    """Give (index of the word, where in it) of the code after ``-c``; None when there is none."""
    at = 0
    while at < len(words):
        word = words[at]
        if word in (b"-", b"--") or not word.startswith(b"-"):
            return None
        if word.startswith(b"--"):
            at += 2 if word in _LONG_VALUED else 1
            continue
        ends, takes, start = _bundle(word)
        if ends == b"c" and at + takes < len(words):
            return (at + 1, 0) if takes else (at, start)
        if ends:
            return None
        at += 1 + takes
    return None


def paths_in_code(words: Sequence[bytes]) -> list[bytes]:
    """Give the quoted absolute paths in the code after ``-c``."""
    code = code_of(words)
    return [] if code is None else [match.group(1) for match in _QUOTED.finditer(words[code[0]][code[1] :])]


def map_code(words: list[bytes], path: Callable[[bytes], bytes | None]) -> list[bytes]:
    """Give words with the quoted paths in the code after ``-c`` replaced where ``path`` gives another; code is else never touched."""
    code = code_of(words)
    if code is None:
        return words
    index, start = code
    text = _QUOTED.sub(lambda match: path(match.group(1)) or match.group(1), words[index][start:])
    return [*words[:index], words[index][:start] + text, *words[index + 1 :]]
