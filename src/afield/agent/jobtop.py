"""One look at what jobs use: processor, memory and GPUs, as counters that grow  [P].

Runs in a forked child (nvidia-smi may hang). Rates are made by who asks twice. A job's processes are those of its session and their
descendants. Where there is no /proc the numbers of processes are missing.
"""

import os
from time import time

from afield.agent import gpus, jobdir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Set, Tuple

# pid -> (parent, session, ticks, resident pages)
Table = "Dict[int, Tuple[int, int, int, int]]"


def processes() -> "Any":
    """Read /proc/PID/stat of everybody (proc(5)); some 20 µs each."""
    table: "Dict[int, Tuple[int, int, int, int]]" = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return table
    for name in names:
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb", 0) as file:
                    data = file.read(4096)
            except OSError:
                continue
            words = data[data.rindex(b")") + 2 :].split()
            table[int(name)] = (int(words[1]), int(words[3]), int(words[11]) + int(words[12]), int(words[21]))
    return table


def members(leader: "int", table: "Any") -> "Set[int]":
    """Give the processes of the session that leader made, and all below them. Pure."""
    found = {pid for pid, row in table.items() if row[1] == leader or pid == leader}
    while True:
        more = {pid for pid, row in table.items() if row[0] in found and pid not in found}
        if not more:
            return found
        found |= more


def use_of(pids: "Set[int]", table: "Any", apps: "List[Dict[str, Any]]") -> "Dict[str, Any]":
    """Add up what these processes use. Pure but for the size of a page."""
    page = os.sysconf("SC_PAGE_SIZE")
    mine = [app for app in apps if app["pid"] in pids]
    return {
        "ticks": sum(table[pid][2] for pid in pids if pid in table),
        "memory": sum(table[pid][3] for pid in pids if pid in table) * page,
        "processes": len(pids),
        "gpu_memory": sum(app["memory"] or 0 for app in mine),
        "gpus": sorted({app["gpu"] for app in mine if app["gpu"] is not None}),
    }


def machine() -> "Dict[str, Any]":
    """Give busy and all ticks of the machine since boot, and its memory in bytes."""
    from afield.agent.facts import memory

    found: "Dict[str, Any]" = {"busy": None, "all": None, "cpus": os.cpu_count(), "memory": None}
    try:
        with open("/proc/stat", "rb") as file:
            words = [int(word) for word in file.readline().split()[1:9]]
        found["all"] = sum(words)
        found["busy"] = sum(words) - words[3] - words[4]  # idle and iowait
        found["memory"] = memory()
    except (OSError, ValueError, IndexError):
        pass
    return found


def top(base: "str") -> "Dict[str, Any]":
    """Look once: ``{"time", "hz", "machine", "gpus", "jobs": [state and "use"]}``."""
    table = processes()
    found, apps = gpus.sample()
    rows = []
    for job in jobdir.listing(base):
        if job["alive"]:
            job["use"] = use_of(members(job["process"][0], table), table, apps)
        if job["alive"] or job["state"] in jobdir.LIVE:
            rows.append(job)
    return {
        "time": time(),
        "hz": os.sysconf("SC_CLK_TCK"),
        "host": os.uname().nodename,
        "machine": machine(),
        "gpus": found,
        "gpu_processes": len(apps),
        "jobs": rows,
    }
