"""Bring a job into being: its number, its folder, its keeper  [P].

``start`` runs in a helper child of the agent; the keeper is that one's child, in a session of its own, and nobody's as soon as
the helper has told what became of it. It shares no descriptor with the agent but those of a view, so neither end touches the other.
"""

import errno
import fcntl
import os
from time import time

from afield.agent import jobdir
from afield.agent.signals import c_signal
from afield.errors import AfieldError, DiskFull, ProcessError
from afield.wire.values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from afield.agent.views import View

START_WAIT = 60.0  # seconds until a start counts as hung: a folder on a slow network disk, and nvidia-smi
LONGEST_NAME = 64


def start(info: "Dict[str, Any]", wish: "Dict[str, Any]", view: "Optional[View]" = None) -> "Dict[str, Any]":
    """Start a job (in a view) and give its state, or ``{"error": value}``. Blocks until it runs, waits or cannot. Raises OSError."""
    base = jobdir.root(info)
    os.makedirs(base, 0o700, exist_ok=True)
    inward, outward = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(inward)
        keep(base, wish, outward, view)
    os.close(outward)
    data = b""
    while True:
        piece = os.read(inward, 65536)
        if not piece:
            break
        data += piece
    if not data:
        raise OSError(5, "the job's keeper died at once; see keeper.log in the newest folder of %s" % base)
    found: "Dict[str, Any]" = decode(data)
    return found


def keep(base: "str", wish: "Dict[str, Any]", outward: "int", view: "Optional[View]") -> "None":
    """Become the keeper; never returns."""
    from afield.agent.helpers import leave_agent
    from afield.agent.signals import reset_signals

    status = 1
    try:
        leave_agent((outward, *(view.descriptors if view is not None else ())))
        reset_signals()
        c_signal.signal(c_signal.SIGPIPE, c_signal.SIG_IGN)
        os.setsid()
        os.chdir("/")
        told: "List[bool]" = []

        def report(value: "Any") -> "None":
            if not told:
                told.append(True)
                _write_all(outward, encode(value))
                os.close(outward)

        try:
            folder, state = make(base, wish)
        except (AfieldError, OSError) as error:
            if not isinstance(error, AfieldError):
                kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else ProcessError
                error = kind("no job can be made in %s there: %s" % (base, os.strerror(error.errno or 0)))
            report({"error": error.to_value()})
            os._exit(0)
        _own_stdio(folder)
        from afield.agent.jobkeeper import JobKeeper

        JobKeeper(base, folder, state, wish, report, view).run()
        status = 0
    except BaseException:
        import sys

        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def make(base: "str", wish: "Dict[str, Any]") -> "Any":
    """Give (folder, state) of a new job. Raises ProcessError when the name is taken, OSError."""
    lock = os.open(os.path.join(base, "lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = jobdir.listing(base)
        for row in rows:
            if wish["name"] and row["name"] == wish["name"] and row["state"] in jobdir.LIVE:
                raise ProcessError(
                    "a job named %s %s there already (number %d)" % (row["name"], _verb(row["state"]), row["number"]),
                    hint="choose another --name, or end it: afield stop %d" % row["number"],
                )
        number = jobdir.next_number(base)
        job = os.urandom(4).hex()
        folder = os.path.join(base, job)
        os.mkdir(folder, 0o700)
        try:
            jobdir.reserve_end(folder)
            state = new_state(job, number, wish)
            jobdir.write_state(folder, state)
        except BaseException:
            jobdir.remove(base, job)
            raise
        return folder, state
    finally:
        os.close(lock)


def _verb(state: "str") -> "str":
    return "waits" if state == "waiting" else "runs"


def new_state(job: "str", number: "int", wish: "Dict[str, Any]") -> "Dict[str, Any]":
    """Give the first state. Of the environment the names only: values may be secrets."""
    request = wish["request"]
    return {
        "id": job,
        "number": number,
        "name": (wish["name"] or default_name(wish["words"] or request["argv"]))[:LONGEST_NAME],
        "argv": wish["words"] or request["argv"],
        "cwd": request["cwd"],
        "env": sorted(request["env"]),
        "pty": request["tty"] is not None,
        "project": wish["project"],
        "origin": wish["origin"],
        "limit": wish["limit"],
        "after": wish["after"],
        "gpus_wanted": wish["gpus"],
        "gpus": [],
        "desktop": wish["desktop"],
        "sync_back": wish["sync_back"],
        "notify": [key for key in ("url", "command") if wish.get(key)],
        "host": os.uname().nodename,
        "boot": jobdir.boot(),
        "keeper": jobdir.mark_of(os.getpid()),
        "process": None,
        "created": time(),
        "started": None,
        "ended": None,
        "state": "starting",
        "why": "",
        "exit": None,
        "lost": 0,
        "dropped": 0,
        "lingers": False,
    }


def default_name(argv: "Any") -> "str":
    """Give a name for a job that got none: the script, else the program. Pure."""
    words = [os.path.basename(word).decode("utf-8", "replace") for word in argv]
    scripts = [word for word in words[1:] if word.endswith(".py")]
    program = words[0] if words else "shell"
    found = scripts[0][:-3] if scripts and program.startswith("python") else program
    return found.replace(" ", "-") or "job"


def _own_stdio(folder: "str") -> "None":
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(os.path.join(folder, jobdir.LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for fd, target in ((null, 0), (null, 1), (log, 2)):
        os.dup2(fd, target)
    os.close(null)
    os.close(log)


def _write_all(fd: "int", data: "bytes") -> "None":
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:  # who asked is gone; the job is there all the same
        pass
