"""Which processes an agent started, on disk, so that the next agent can end those of one that was killed  [P].

A log of ``+pid starttime`` and ``-pid`` lines below one line that names the host: one small write per start and end. A pid is believed only
when the start time in /proc/PID/stat (proc(5), field 22) is the same: pids are used again.
"""

import os

from afield.agent.signals import c_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

# About 3000 short runs; then the log is written anew with what lives.
LARGEST = 65536


def start_time(pid: "int") -> "Optional[str]":
    """Give when a process started, in clock ticks since boot; None when it is gone or the system has no /proc."""
    try:
        with open("/proc/%d/stat" % pid, "rb", 0) as file:
            data = file.read(4096)
    except OSError:
        return None
    # The name in parentheses may hold anything, parentheses too; state is field 3, starttime field 22.
    fields = data[data.rindex(b")") + 2 :].split()
    return fields[19].decode("ascii") if fields[0] != b"Z" else None


class Records:
    """The log of this agent; a disk that is full or gone is tolerated."""

    def __init__(self, path: "Optional[str]", identity: "str") -> "None":
        self._path = path
        self._identity = identity
        self._live: "Dict[int, str]" = {}
        self._size = 0
        self._fd = -1
        self._rewrite()

    def started(self, pid: "int") -> "None":
        """Write down a process."""
        since = start_time(pid)
        if since is not None:
            self._live[pid] = since
            self._write("+%d %s\n" % (pid, since))

    def ended(self, pid: "int") -> "None":
        """Write down that it ended."""
        if self._live.pop(pid, None) is not None:
            self._write("-%d\n" % pid)

    def close(self) -> "None":
        """Close the file; it stays where it is."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, line: "str") -> "None":
        self._size += len(line)
        if self._size > LARGEST:
            self._rewrite()
            return
        try:
            if self._fd >= 0:
                os.write(self._fd, line.encode("ascii"))
        except OSError:
            pass

    def _rewrite(self) -> "None":
        if self._path is None:
            return
        text = self._identity.replace("\n", " ") + "\n"
        text += "".join("+%d %s\n" % item for item in sorted(self._live.items()))
        self.close()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
            self._fd = os.open(self._path, flags, 0o600)
            os.write(self._fd, text.encode("utf-8", "replace"))
        except OSError:
            pass
        self._size = len(text)


def orphans(text: "str", identity: "str") -> "List[int]":
    """Read a log: the pids that still are what they were, if it is of this host."""
    lines = text.split("\n")
    if lines[0] != identity.replace("\n", " "):
        return []
    live: "Dict[int, str]" = {}
    for line in lines[1:]:
        words = line[1:].split(" ")
        if line[:1] == "+" and len(words) == 2 and words[0].isdigit():
            live[int(words[0])] = words[1]
        elif line[:1] == "-" and words[0].isdigit():
            live.pop(int(words[0]), None)
    return [pid for pid, since in sorted(live.items()) if start_time(pid) == since]


def read_orphans(path: "str", identity: "str") -> "List[int]":
    """Read the log of an agent that is no more; empty when there is none."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST * 2)
    except OSError:
        return []
    return orphans(data.decode("utf-8", "replace"), identity)


def signal_group(pid: "int", number: "int") -> "None":
    """Signal a process group that may be gone."""
    try:
        os.killpg(pid, number)
    except OSError:
        pass


def end_orphans(pids: "List[int]") -> "None":
    """Ask the groups of these processes to end."""
    for pid in pids:
        signal_group(pid, int(c_signal.SIGHUP))
        signal_group(pid, int(c_signal.SIGCONT))


def kill_orphans(since: "Dict[int, Optional[str]]") -> "None":
    """Kill those that are still the same processes."""
    for pid, started in since.items():
        if started is not None and start_time(pid) == started:
            signal_group(pid, int(c_signal.SIGKILL))
