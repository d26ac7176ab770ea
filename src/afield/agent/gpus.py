"""Which GPUs are idle, and a lock on each that a job takes  [P].

Idle is told by processes (``nvidia-smi --query-compute-apps``), never by utilisation: one that loads its data uses 0 % and has the memory.
A lock is an flock on ``gpu-HOST-INDEX`` in the folder of the jobs, held by the job's keeper; the kernel gives it back whatever
happens to that. Only the GPUs that the login was given (CUDA_VISIBLE_DEVICES) are looked at.
"""

import fcntl
import os

from afield.agent.facts import GPU_WAIT, _which, run_briefly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

NUMBERS = "index,uuid,memory.total,memory.used,utilization.gpu,name"


def query(what: "str") -> "Optional[List[List[str]]]":
    """Ask nvidia-smi; rows of words, None where there is no such program or it fails."""
    program = _which("nvidia-smi")
    if program is None:
        return None
    text = run_briefly([program, what, "--format=csv,noheader,nounits"], GPU_WAIT)
    return [[word.strip() for word in line.split(",")] for line in text.splitlines() if line.strip()]


def sample() -> "Tuple[List[Dict[str, Any]], List[Dict[str, Any]]]":
    """Give GPUs (index, uuid, name, memory in bytes, utilization in percent) and the processes on them (pid, gpu, memory)."""
    gpus = [
        {
            "index": int(row[0]),
            "uuid": row[1],
            "memory_total": _number(row[2], 1 << 20),
            "memory_used": _number(row[3], 1 << 20),
            "utilization": _number(row[4], 1),
            "name": row[5],
        }
        for row in query("--query-gpu=" + NUMBERS) or []
        if len(row) >= 6 and row[0].isdigit()
    ]
    by_uuid = {gpu["uuid"]: gpu["index"] for gpu in gpus}
    apps = [
        {"pid": int(row[1]), "gpu": by_uuid.get(row[0]), "memory": _number(row[2], 1 << 20)}
        for row in (query("--query-compute-apps=gpu_uuid,pid,used_memory") if gpus else None) or []
        if len(row) >= 3 and row[1].isdigit()
    ]
    return gpus, apps


def _number(text: "str", unit: "int") -> "Optional[int]":
    try:
        return int(float(text)) * unit
    except ValueError:  # [N/A]
        return None


def allowed(visible: "str", gpus: "List[Dict[str, Any]]") -> "List[int]":
    """Give the indexes that CUDA_VISIBLE_DEVICES leaves; all when it is empty. Pure."""
    words = [word.strip() for word in visible.split(",") if word.strip()]
    if not words:
        return [gpu["index"] for gpu in gpus]
    return [gpu["index"] for gpu in gpus if str(gpu["index"]) in words or any(gpu["uuid"].startswith(w) for w in words)]


def idle(visible: "str", gpus: "List[Dict[str, Any]]", apps: "List[Dict[str, Any]]") -> "List[int]":
    """Give the indexes that no process uses. Pure."""
    busy = {app["gpu"] for app in apps}
    return [index for index in allowed(visible, gpus) if index not in busy]


class Claim:
    """GPUs that are ours as long as this lives. ``indexes`` are those that were got."""

    def __init__(self) -> "None":
        self.indexes: "List[int]" = []
        self._locks: "List[int]" = []

    def take(self, folder: "str", candidates: "List[int]", count: "int") -> "bool":
        """Lock count of them, or none. Raises OSError."""
        for index in candidates:
            if len(self.indexes) == count:
                break
            path = os.path.join(folder, "gpu-%s-%d" % (os.uname().nodename, index))
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                continue
            self._locks.append(fd)
            self.indexes.append(index)
        if len(self.indexes) == count:
            return True
        self.release()
        return False

    def release(self) -> "None":
        """Give them back."""
        for fd in self._locks:
            os.close(fd)
        self._locks, self.indexes = [], []


def pick(folder: "str", count: "int") -> "Tuple[Optional[Claim], str, bool]":
    """Give (a claim on count idle GPUs or None, why not, whether it is worth to wait for them).

    Blocks for as long as nvidia-smi takes. Raises OSError.
    """
    gpus, apps = sample()
    if not gpus:
        return None, "nvidia-smi finds no GPU there", False
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if len(allowed(visible, gpus)) < count:
        return None, "%d GPUs were asked for, there are %d" % (count, len(allowed(visible, gpus))), False
    free = idle(visible, gpus, apps)
    claim = Claim()
    if len(free) >= count and claim.take(folder, free, count):
        return claim, "", True
    why = "%d of %d GPUs were asked for, %d have no process and some of these may be taken by jobs"
    return None, why % (count, len(gpus), len(free)), True
