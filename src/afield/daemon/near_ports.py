"""Which TCP ports programs here listen on, and which of them a command names (proc(5), Linux; elsewhere none).

A number in an argument that somebody listens on here is a port that the program there will want to reach; and so are the other ports
of the program that owns it, because debuggers tell a second number later. What must not go in: any forward.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER = re.compile(rb"(?<![0-9.])([0-9]{4,5})(?![0-9.])")
_LISTEN = "0A"  # TCP_LISTEN (linux/include/net/tcp_states.h)
_NEAR = ("0100007F", "00000000", "0" * 32, "0" * 24 + "01000000")
# Below are the ports that programs take for others, not those that they are given.
LOWEST = 1024


def numbers(words: Sequence[bytes]) -> set[int]:
    """Give what may be a port in these arguments: ``8000``, ``--port=8000``, ``127.0.0.1:8000``."""
    found: set[int] = set()
    for word in words:
        if len(word) <= 256:
            found.update(int(match) for match in _NUMBER.findall(_without_address(word)))
    return {number for number in found if LOWEST <= number <= 65535}


def _without_address(word: bytes) -> bytes:
    return re.sub(rb"[0-9]+(?:\.[0-9]+){3}", b"", word)


def listening() -> dict[int, set[str]]:
    """Give port -> socket inodes of what listens on loopback or on every address here."""
    found: dict[int, set[str]] = {}
    for path in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            for line in file.read().splitlines()[1:]:
                fields = line.split(None, 10)
                address, _, port = fields[1].partition(":")
                if fields[3] == _LISTEN and address in _NEAR:
                    found.setdefault(int(port, 16), set()).add(fields[9])
    return found


def named(words: Sequence[bytes]) -> set[int]:
    """Give the ports of here that the arguments name, with the other ports of who owns them; never one of this process."""
    wanted = numbers(words)
    if not wanted:
        return set()
    here = listening()
    wanted &= here.keys()
    if not wanted:
        return set()
    ports = {inode: port for port, inodes in here.items() for inode in inodes}
    found: set[int] = set(wanted)
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        owned = {ports[inode] for inode in _sockets(pid) if inode in ports}
        if owned & wanted:
            if int(pid) == os.getpid():
                found -= owned
                wanted -= owned
            else:
                found |= {port for port in owned if port >= LOWEST}
    return found


def _sockets(pid: str) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{name}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found
