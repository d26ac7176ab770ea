"""Tells the client which TCP ports the programs of a run listen on, as they come and go  [P].

Rules: Linux only (proc(5)); one look serves all runs, three times a second and never for more than a twentieth of the time; a run's
programs are its first process, what descends from it, and what has its word in the environment. Only what can be reached by loopback counts. What must not go in: any
connection (ports).
"""

import os
from time import perf_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Set

    from afield.agent.keeper import Keeper
    from afield.agent.processes import Process

# A person who starts a server opens the browser after a second.
INTERVAL = 0.3
SHARE = 20.0  # times its own cost until the next look
# Ports that a program opens one right after the other (a kernel has five) are told together: a look that sees something new is
# repeated after this time until two agree, at most so often.
SETTLE, SETTLES = 0.05, 6
_LISTEN = b"0A"  # TCP_LISTEN (linux/include/net/tcp_states.h)


def listening() -> "Dict[bytes, int]":
    """Give socket inode -> port of all that listen on loopback or on every address; empty where there is no /proc."""
    found: "Dict[bytes, int]" = {}
    for path in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        try:
            with open(path, "rb", 0) as file:
                lines = file.read().split(b"\n")[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split(None, 10)
            if len(fields) > 9 and fields[3] == _LISTEN:
                address, _, port = fields[1].partition(b":")
                if is_near(address):
                    found[fields[9]] = int(port, 16)
    return found


def is_near(address: "bytes") -> "bool":
    """Say whether an address of /proc/net/tcp is loopback or every address, of IPv4, IPv6 or one in the other."""
    if len(address) == 8:
        return address[6:] == b"7F" or address == b"0" * 8
    if address == b"0" * 32 or address == b"0" * 24 + b"01000000":
        return True
    return address[16:24] == b"FFFF0000" and is_near(address[24:])


def tree(pid: "int", word: "bytes") -> "Set[int]":
    """Give a process, its descendants, and who has the word of its run in the environment (a daemon has left its parents)."""
    found = marked(word)
    queue = [pid]
    while queue:
        each = queue.pop()
        found.add(each)
        try:
            tasks = os.listdir("/proc/%d/task" % each)
        except OSError:
            continue
        for task in tasks:
            try:
                with open("/proc/%d/task/%s/children" % (each, task), "rb", 0) as file:
                    queue.extend(int(word) for word in file.read().split())
            except OSError:
                continue
    return found


def marked(word: "bytes") -> "Set[int]":
    """Give our processes with the word in their environment, as it was when they were started."""
    found: "Set[int]" = set()
    me = os.getuid()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if os.stat("/proc/" + name).st_uid != me:
                continue
            with open("/proc/%s/environ" % name, "rb", 0) as file:
                if word in file.read():
                    found.add(int(name))
        except OSError:
            continue
    return found


def sockets(pid: "int") -> "Set[bytes]":
    """Give the inodes of the sockets that a process has open."""
    found: "Set[bytes]" = set()
    folder = b"/proc/%d/fd/" % pid
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        try:
            target = os.readlink(folder + name)
        except OSError:
            continue
        if target.startswith(b"socket:["):
            found.add(target[8:-1])
    return found


class Poller:
    """Looks for all runs of one agent. ``add`` one when it starts; it goes by itself."""

    def __init__(self, keeper: "Keeper") -> "None":
        self._keeper = keeper
        self._runs: "List[_Run]" = []
        self._timer: "Any" = None
        self._before: "Optional[Dict[bytes, int]]" = None
        self._seen: "Optional[Dict[bytes, int]]" = None
        self._settles = 0

    def add(self, process: "Process") -> "None":
        """Watch a run from now on."""
        self._runs.append(_Run(process))
        self._before = None
        if self._timer is None:
            self._timer = self._keeper.loop.call_later(INTERVAL, self._look)

    def _look(self) -> "None":
        self._timer = None
        began = perf_counter()
        self._runs = [run for run in self._runs if run.lives]
        if not self._runs:
            return
        now = listening()
        changed = now != self._before
        if changed and now != self._seen and self._settles < SETTLES:
            self._seen = now
            self._settles += 1
            self._timer = self._keeper.loop.call_later(SETTLE, self._look)
            return
        self._before = self._seen = now
        self._settles = 0
        for run in self._runs:
            run.look(now, changed)
        cost = perf_counter() - began
        self._timer = self._keeper.loop.call_later(max(INTERVAL, cost * SHARE), self._look)


class _Run:
    def __init__(self, process: "Process") -> "None":
        self._process = process
        self._ports: "List[int]" = []
        self._told_to: "Any" = None

    @property
    def lives(self) -> "bool":
        return self._process.state in ("starting", "running")

    def look(self, now: "Dict[bytes, int]", changed: "bool") -> "None":
        channel = self._process.channel
        if self._process.state != "running" or channel is None:
            return
        if changed:
            self._ports = self._find(now)
        elif channel is self._told_to:
            return
        if self._ports or self._told_to is not None:
            if channel is not self._told_to or self._ports != self._last:
                channel.message({"ports": self._ports})
                self._told_to, self._last = channel, self._ports

    _last: "List[int]" = []

    def _find(self, now: "Dict[bytes, int]") -> "List[int]":
        if not now:
            return []
        found = set()
        for pid in tree(self._process.pid, b"AFIELD_RUN=" + self._process.id.hex().encode("ascii")):
            for inode in sockets(pid):
                if inode in now:
                    found.add(now[inode])
        return sorted(found)
