"""Versions of a path → the lines of a diff, each with its colour. Pure; the form is that of ``diff -u`` (POSIX diff, unified)."""

from __future__ import annotations

import base64
import difflib
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Line = tuple[str, str]
KINDS = {"f": "file", "d": "folder", "l": "link", "o": "special file"}


def content(version: dict[str, Any] | None) -> bytes | None:
    """Give the text of a version, None when it has none."""
    text = None if version is None else version.get("text")
    return None if text is None else base64.b64decode(text)


def differ(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    """Whether two versions differ in what they hold (times do not count)."""
    if one is None or other is None:
        return one is not other
    known = one.get("text") is not None and other.get("text") is not None
    names = ["kind", "executable", "target", *(["text"] if known else ["size", "digest"])]
    return any(one.get(name) != other.get(name) for name in names)


def diff(told: dict[str, Any], first: str, second: str, *, context: int = 3) -> Iterator[Line]:
    """Give (colour or "", line) of the difference between two of here, there and base; nothing when they are equal."""
    one, other, path = told[first], told[second], told["path"]
    if not differ(one, other):
        return
    old, new = content(one), content(other)
    if _lines_say_it(one, old) and _lines_say_it(other, new):
        yield "bold", f"--- {_head(first, path, one)}"
        yield "bold", f"+++ {_head(second, path, other)}"
        if one and other and one.get("executable") != other.get("executable"):
            bits = ("executable" if version.get("executable") else "not executable" for version in (one, other))
            yield "yellow", "mode: " + " → ".join(bits)
        yield from _hunks(_lines(old), _lines(new), context)
        return
    yield "bold", f"{path}:"
    for name, version in ((first, one), (second, other)):
        yield "", f"  {name}: {describe(version)}"


def _lines_say_it(version: dict[str, Any] | None, text: bytes | None) -> bool:
    return version is None or text is not None


def describe(version: dict[str, Any] | None) -> str:
    """Give a version in words: file, 12 bytes, 2026-01-01 12:00:00."""
    if version is None:
        return "nothing"
    words = [KINDS.get(str(version["kind"]), "?")]
    if version.get("target") is not None:
        words.append(f"to {version['target']}")
    if version.get("size") is not None:
        words.append(f"{version['size']:,} bytes")
    if version.get("executable"):
        words.append("executable")
    if version.get("mtime") is not None:
        words.append(_time(version["mtime"]))
    if version.get("why"):
        words.append(str(version["why"]))
    return ", ".join(words)


def _head(name: str, path: str, version: dict[str, Any] | None) -> str:
    if version is None:
        return f"{name}/{path}\t(nothing)"
    return f"{name}/{path}\t{_time(version.get('mtime') or 0)}"


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _lines(text: bytes | None) -> list[str]:
    return (text or b"").decode("utf-8", "backslashreplace").splitlines(keepends=True)


def _hunks(old: list[str], new: list[str], context: int) -> Iterator[Line]:
    colours = {"@": "blue", "-": "red", "+": "green"}
    for place, line in enumerate(difflib.unified_diff(old, new, n=context)):
        if place < 2:
            continue  # its own heads, without our names
        shown = line.rstrip("\r\n")
        yield colours.get(line[0], ""), shown
        if not line.endswith(("\n", "\r")):
            yield "dim", "\\ No newline at end of file"
