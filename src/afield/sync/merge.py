"""Three-way merge of texts, line by line. ``git merge-file`` does it where git is installed, else the merge below does.

Rules: what only one side changed is taken, what both changed alike is taken once, all else is a hunk of conflict; bytes in,
bytes out, line ends and encoding are kept as they are. Nothing here knows of files of a project.
The way of the built-in merge is that of diff3: Khanna, Kunal, Pierce, "A formal investigation of diff3" (2007).
"""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A file with a NUL byte in its first 8,000 bytes is binary: the rule of git (buffer_is_binary).
LOOKED_AT = 8000
# Texts beyond this are not source code, and comparing lines costs up to the square of their number.
LARGEST = 1 << 20
# git writes no text of 1 MiB for longer than this; a git that hangs must not hold a settlement up.
GIT_SECONDS = 30.0
NAMES = (b"here", b"base", b"there")


class Merged(NamedTuple):
    """The merged text, and how many hunks of it are in conflict (they stand between markers)."""

    text: bytes
    conflicts: int


def is_text(data: bytes) -> bool:
    """Whether content can be merged by lines."""
    return len(data) <= LARGEST and b"\0" not in data[:LOOKED_AT]


def merge(base: bytes, here: bytes, there: bytes, *, git: str | None = None) -> Merged:
    """Merge two texts that came of one. ``git``: the program; default: the one that is found, "" for none.

    Blocks; runs a process and may take a second for the largest texts.
    """
    program = shutil.which("git") if git is None else git
    found = by_git(program, base, here, there) if program else None
    return found if found is not None else by_lines(base, here, there)


def by_git(program: str, base: bytes, here: bytes, there: bytes) -> Merged | None:
    """Merge with ``git merge-file`` (git-merge-file(1)); None when it cannot be used."""
    with tempfile.TemporaryDirectory(prefix="afield-merge-") as folder:
        for name, text in zip(NAMES, (here, base, there), strict=True):
            with open(os.path.join(os.fsencode(folder), name), "wb") as file:
                file.write(text)
        labels = [word for name in NAMES for word in ("-L", name.decode())]
        try:
            done = subprocess.run(
                [program, "merge-file", "-p", *labels, *(name.decode() for name in NAMES)],
                cwd=folder,
                capture_output=True,
                check=False,
                timeout=GIT_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
    # The exit status is the number of conflicts, cut at 127; an error is negative, so 128 and more here.
    if not 0 <= done.returncode <= 127:
        return None
    return Merged(done.stdout, done.returncode)


def by_lines(base: bytes, here: bytes, there: bytes) -> Merged:
    """Merge without any program."""
    old, one, other = (text.splitlines(keepends=True) for text in (base, here, there))
    text: list[bytes] = []
    conflicts = 0
    for part in _parts(old, one, other):
        lines, clash = _settle(*part)
        if clash:
            conflicts += 1
            lines = _marked(part[1], part[2])
        text += lines
    return Merged(b"".join(text), conflicts)


Lines = list[bytes]


def _parts(old: Lines, one: Lines, other: Lines) -> Iterator[tuple[Lines, Lines, Lines]]:
    """Cut the three texts at the lines that all of them have: by turns what differs and what is common."""
    at_old = at_one = at_other = 0
    for begin, first, second, size in _common(old, one, other):
        yield old[at_old:begin], one[at_one:first], other[at_other:second]
        same = old[begin : begin + size]
        yield same, same, same
        at_old, at_one, at_other = begin + size, first + size, second + size
    yield old[at_old:], one[at_one:], other[at_other:]


def _common(old: Lines, one: Lines, other: Lines) -> Iterator[tuple[int, int, int, int]]:
    """Runs of lines that stand in all three: (place in old, in one, in other, length)."""
    first, second = _blocks(old, one), _blocks(old, other)
    i = j = 0
    while i < len(first) and j < len(second):
        a, b = first[i], second[j]
        begin, end = max(a[0], b[0]), min(a[0] + a[2], b[0] + b[2])
        if begin < end:
            yield begin, a[1] + begin - a[0], b[1] + begin - b[0], end - begin
        if a[0] + a[2] < b[0] + b[2]:
            i += 1
        else:
            j += 1


def _blocks(old: Sequence[bytes], new: Sequence[bytes]) -> list[tuple[int, int, int]]:
    """Matching runs of two texts; equal heads and tails are cut off first, which is most of nearly equal texts."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    matcher = difflib.SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=False)
    blocks = [(head + a, head + b, size) for a, b, size in matcher.get_matching_blocks() if size]
    whole = [(0, 0, head), *blocks, (len(old) - tail, len(new) - tail, tail)]
    return [block for block in whole if block[2]]


def _settle(old: Lines, one: Lines, other: Lines) -> tuple[Lines, bool]:
    if other in (one, old):
        return one, False
    if one == old:
        return other, False
    return [], True


def _marked(one: Lines, other: Lines) -> Lines:
    """A hunk with markers as git writes them; a last line without an end gets one, so that markers stand alone."""
    return [b"<<<<<<< here\n", *_ended(one), b"=======\n", *_ended(other), b">>>>>>> there\n"]


def _ended(lines: Lines) -> Lines:
    return [*lines[:-1], lines[-1] + b"\n"] if lines and not lines[-1].endswith(b"\n") else lines
