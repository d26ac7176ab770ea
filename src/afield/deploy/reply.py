"""The starter's first answer, found behind whatever the login printed.

Sans-IO: ``feed`` bytes until it gives a ``Reply`` or raises. Noise before the marker is kept for explanations; it is bounded, and
so is the line behind the marker. Nothing that comes in is believed beyond its form.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from afield.errors import AfieldError, AgentBroken, BadShell, from_value

GOOD, BAD = b"\nAFIELD1 ", b"\nAFIELD0 "
WRONG_HASH = b"AFIELD-BAD hash\n"
NOISE_KEPT = 2048  # bytes: the first lines of a banner tell which host and which script speaks
MOST_NOISE = 1 << 20  # bytes: a message of the day with a picture; more is a program that never ends
LONGEST_LINE = 16384  # bytes: two paths of 4096, escaped


@dataclass(frozen=True, slots=True)
class Reply:
    """What the starter told. ``cache`` is the folder at the place or "", then ``why`` tells the reason."""

    need: bool
    version: tuple[int, int, int]
    executable: str
    magic: str
    cache: str
    why: str
    noise: str


class ReplyReader:
    """Feed it the start of the stream. After a reply, ``rest`` holds the bytes that followed the marker line."""

    def __init__(self) -> None:
        self._buffer = b"\n"  # a marker may be the very first thing
        self._noise = b""
        self._seen = 0
        self.rest = b""

    @property
    def noise(self) -> str:
        """What was printed before the marker so far, shortened."""
        return (self._noise + self._buffer)[:NOISE_KEPT].decode("utf-8", "replace").strip()

    def feed(self, data: bytes) -> Reply | None:
        """Take bytes; give the reply once it is whole. Raises what the starter reported, BadShell, AgentBroken."""
        self._buffer += data
        self._seen += len(data)
        at, marker = self._find()
        if at < 0:
            self._drop_noise()
            return None
        end = self._buffer.find(b"\n", at + len(marker))
        if end < 0:
            if len(self._buffer) - at > LONGEST_LINE:
                raise AgentBroken("the starter's first line there does not end")
            return None
        line = self._buffer[at + len(marker) : end]
        self.rest = self._buffer[end + 1 :]
        noise = (self._noise + self._buffer[:at])[:NOISE_KEPT].decode("utf-8", "replace").strip()
        value = _parse(line)
        if marker == BAD:
            raise _failure(value)
        return _reply(value, noise)

    def _find(self) -> tuple[int, bytes]:
        found = [(at, marker) for marker in (GOOD, BAD) if (at := self._buffer.find(marker)) >= 0]
        return min(found, default=(-1, b""))

    def _drop_noise(self) -> None:
        """Keep only what may be the beginning of a marker."""
        keep = len(GOOD)
        if len(self._buffer) > keep:
            self._noise = (self._noise + self._buffer[:-keep])[:NOISE_KEPT]
            self._buffer = self._buffer[-keep:]
        if self._seen > MOST_NOISE:
            raise BadShell(
                f"the login there prints without end instead of starting the agent: {self.noise[:200]!r}",
                hint="look at the shell's start files there: they must print nothing when no terminal is attached",
            )

    def end(self) -> AfieldError:
        """Give the error for a stream that ended before the reply; the transport may know better."""
        noise = self.noise
        return BadShell(
            "the login there ended before the agent started" + (f"; it printed: {noise[:400]}" if noise else ""),
            hint="does the login shell there run commands? try: ssh HOST python3 --version",
        )


def is_wrong_hash(data: bytes) -> bool:
    """Whether bytes that follow the bundle are the starter's refusal of it."""
    return data.startswith(WRONG_HASH) or (bool(data) and WRONG_HASH.startswith(data))


def _parse(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise AgentBroken(
            f"expected the starter's answer, got {line[:200]!r}", hint="something in the login there changes bytes"
        )
    return value


def _failure(value: dict[str, Any]) -> AfieldError:
    return from_value(
        {"code": str(value.get("error", "agent-broken")), "text": str(value.get("text", "no reason given"))}
    )


def _reply(value: dict[str, Any], noise: str) -> Reply:
    version = value.get("py")
    if not (isinstance(version, list) and len(version) == 3 and all(isinstance(part, int) for part in version)):
        raise AgentBroken(f"expected the version of Python in the starter's answer, got {version!r}")
    texts = [value.get(name) for name in ("exe", "magic", "dir", "why")]
    if value.get("need") not in (0, 1) or not all(isinstance(text, str) for text in texts):
        raise AgentBroken(f"expected the starter's answer, got {str(value)[:200]}")
    exe, magic, cache, why = map(str, texts)
    return Reply(bool(value["need"]), (version[0], version[1], version[2]), exe, magic, cache, why, noise)
