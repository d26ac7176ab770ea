"""The folders of jobs at a place: who is there, what became of each, and what a boot or a kill made of it  [P].

``~/.local/share/afield/jobs/ID`` (0700; below AFIELD_HOME where that is set): ``state`` (one encoded map, replaced by rename), ``end``
(made full size at the start, so that the end can be told on a full disk), ``sock``, the journal, and empty files that clients set as
marks. A process is believed to be the one that was meant when boot, pid and start time are the same. No processes in here.
"""

import os
from time import time

from afield.agent.records import start_time
from afield.errors import NoSuchProcess, ProtocolError
from afield.wire.values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

STATE, END, SOCK, LOG = "state", "end", "sock", "keeper.log"
END_SIZE = 512  # one sector: written at once or not at all
LARGEST_STATE = 1 << 20  # argv of a job may be long; two of these still pass in one answer
MOST_WORDS = 1024  # bytes of argv that clients are shown
LIVE = ("starting", "waiting", "running")
MARKS = ("fetched", "told")
ADDRESS = 100  # bytes of a socket's address that every system takes (see runfolder)


def root(info: "Dict[str, Any]") -> "str":
    """Give the folder of all jobs; ``info`` is the agent's."""
    from afield.agent.spawn import home

    if info.get("home"):
        return os.path.join(info["home"], ".local/share/afield/jobs")
    data = os.environ.get("XDG_DATA_HOME", "")
    return os.path.join(
        data if data.startswith("/") else os.path.join(os.fsdecode(home()), ".local/share"), "afield/jobs"
    )


def boot() -> "str":
    """Give the id of this boot, empty where the system has none."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read(64).strip()
    except OSError:
        return ""


def check_id(job: "str") -> "str":
    """Return an id that names a folder and nothing else. Raises NoSuchProcess."""
    if len(job) != 8 or any(letter not in "0123456789abcdef" for letter in job):
        raise NoSuchProcess("no job %.40r there" % (job,), hint="list them: afield jobs --all")
    return job


def write_state(folder: "str", state: "Dict[str, Any]") -> "None":
    """Replace the state in one step; on a full disk the end alone is written where room was made for it. Raises OSError."""
    temporary = os.path.join(folder, "state.tmp")
    try:
        with open(temporary, "wb", 0) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(encode(state))
        os.rename(temporary, os.path.join(folder, STATE))
    except OSError:
        keys = ("state", "exit", "ended", "started", "process", "lost", "why")
        value = encode({key: state[key] for key in keys if key in state})
        if len(value) > END_SIZE - 4:
            raise
        with open(os.path.join(folder, END), "r+b", 0) as file:
            file.write(len(value).to_bytes(4, "little") + value)


def reserve_end(folder: "str") -> "None":
    """Take the room that ``write_state`` needs on a full disk. Raises OSError."""
    with open(os.path.join(folder, END), "wb", 0) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(b"\0" * END_SIZE)
        os.fsync(file.fileno())


def read_state(folder: "str") -> "Optional[Dict[str, Any]]":
    """Give what was written last; None when there is no job."""
    try:
        with open(os.path.join(folder, STATE), "rb", 0) as file:
            state: "Dict[str, Any]" = decode(file.read(LARGEST_STATE))
        with open(os.path.join(folder, END), "rb", 0) as file:
            data = file.read(END_SIZE)
    except (OSError, ProtocolError):  # a folder that is being made or removed, or bytes that a crash left
        return None
    size = int.from_bytes(data[:4], "little")
    if 0 < size <= len(data) - 4 and not state.get("ended"):
        try:
            state.update(decode(data[4 : 4 + size]))
        except ProtocolError:  # cut short by a crash
            pass
    return state


def is_alive(mark: "Any") -> "bool":
    """Whether [pid, start time] still is that process."""
    return bool(mark) and start_time(mark[0]) == mark[1]


def mark_of(pid: "int") -> "List[Any]":
    """Give [pid, start time] of a process."""
    return [pid, start_time(pid) or ""]


def judge(state: "Dict[str, Any]", host: "str", booted: "str") -> "str":
    """Say how a job stands: what was written, unless who wrote it is no more."""
    said: "str" = state["state"]
    if said not in LIVE:
        return said
    if state["host"] != host:
        return "elsewhere"
    if state["boot"] != booted:
        return "lost in a reboot"
    return said if is_alive(state["keeper"]) else "keeper gone"


def load(base: "str", job: "str") -> "Dict[str, Any]":
    """Give one job as clients see it. Raises NoSuchProcess."""
    folder = os.path.join(base, check_id(job))
    state = read_state(folder)
    if state is None:
        raise NoSuchProcess("there is no job %s there" % job, hint="list them: afield jobs --all")
    return describe(folder, state, os.uname().nodename, boot())


def describe(folder: "str", state: "Dict[str, Any]", host: "str", booted: "str") -> "Dict[str, Any]":
    """Give what clients see: the state as it is now, the sizes of journal and output, the marks."""
    from afield.agent.joblog import Reader

    found = dict(state, argv=_shortened(state["argv"]))
    found["state"] = judge(state, host, booted)
    here = state["host"] == host and state["boot"] == booted
    found["lingers"] = found["state"] not in LIVE and here and is_alive(state["keeper"])
    # A keeper that only tells the end to a webhook or a command lives on, too.
    found["writes"] = found["lingers"] and bool(state["lingers"])
    found["alive"] = here and is_alive(state.get("process"))
    journal = Reader(folder)
    found["position"], found["first"], found["output"] = journal.end(), journal.first(), journal.output()
    found["marks"] = [mark for mark in MARKS if os.path.exists(os.path.join(folder, mark))]
    found["now"] = time()
    return found


def _shortened(argv: "List[bytes]") -> "List[bytes]":
    """A list of jobs must pass in one answer, whatever their arguments are."""
    kept, left = [], MOST_WORDS
    for word in argv:
        kept.append(word[:left])
        left -= len(word)
        if left <= 0:
            return kept + [b"..."]
    return kept


def listing(base: "str") -> "List[Dict[str, Any]]":
    """Give all jobs, oldest first."""
    try:
        names = os.listdir(base)
    except OSError:
        return []
    host, booted = os.uname().nodename, boot()
    found = []
    for name in names:
        if len(name) == 8:
            folder = os.path.join(base, name)
            state = read_state(folder)
            if state is not None:
                found.append(describe(folder, state, host, booted))
    return sorted(found, key=lambda state: (state["created"], state["number"]))


def count_live(base: "str") -> "int":
    """Give how many jobs run or wait there."""
    return sum(row["state"] in LIVE for row in listing(base))


def next_number(base: "str") -> "int":
    """Give the number of a new job; the folder's lock must be held. Raises OSError."""
    path = os.path.join(base, "number")
    try:
        with open(path, "rb", 0) as file:
            number = int(file.read(32) or b"0")
    except (FileNotFoundError, ValueError):
        number = max([0] + [int(row["number"]) for row in listing(base)])
    with open(path + ".tmp", "wb", 0) as file:
        file.write(b"%d" % (number + 1))
    os.rename(path + ".tmp", path)
    return number + 1


def set_mark(base: "str", job: "str", mark: "str") -> "None":
    """Leave a mark. Raises NoSuchProcess, OSError."""
    if mark in MARKS:
        with open(os.path.join(base, check_id(job), mark), "wb"):
            pass


def remove(base: "str", job: "str") -> "None":
    """Remove a job's folder. Raises OSError."""
    import shutil

    # Renamed first: half a folder must not be taken for a job.
    gone = os.path.join(base, "gone-" + check_id(job))
    os.rename(os.path.join(base, job), gone)
    shutil.rmtree(gone)


def address(folder: "str") -> "Any":
    """Give (a name for the socket that fits an address, a descriptor to close afterwards or -1). Raises OSError."""
    path = os.path.join(folder, SOCK)
    if len(os.fsencode(path)) <= ADDRESS:
        return path, -1
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return "/proc/self/fd/%d/%s" % (fd, SOCK), fd
