"""The agent's answers about jobs: start, list, stop, mark, remove, end all  [P].

What touches the disk of the jobs runs in a helper child, like every slow question; only the orders to a keeper go out from here.
"""

import os

from afield.agent import jobdir, records
from afield.agent.signals import c_signal
from afield.errors import NoSuchView, ProcessError, ProtocolError, from_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from afield.agent.keeper import Keeper

LOOK_WAIT = 20.0  # seconds: folders on a network disk
TOP_WAIT = 15.0  # nvidia-smi is asked twice
FEW = 64  # some 30 µs each
REMOVE_WAIT = 600.0
SEEN_WAIT = 1.5  # seconds: three looks of a job that waits (jobkeeper.LOOK_AFTER)
STOP_PATIENCE = 3.0  # seconds that a keeper may take to accept an order
KINDS = {
    "after": list,
    "gpus": int,
    "gpu_wait": bool,
    "after_any": bool,
    "desktop": bool,
    "sync_back": list,
    "limit": int,
}


def wish_of(args: "Dict[str, Any]") -> "Dict[str, Any]":
    """Check what a client wants started. Raises ProtocolError, NoSuchProcess."""
    from afield.agent import spawn
    from afield.agent.joblog import LIMIT
    from afield.wire.messages import read_header

    request = read_header(dict(args["process"], do="process", id=b"\0" * 16))
    wish = dict(args, request=request)
    for name, kind in KINDS.items():
        if not isinstance(wish[name], kind):
            raise ProtocolError("%s: expected %s, got %.80r" % (name, kind.__name__, wish[name]))
    for job in wish["after"]:
        jobdir.check_id(job)
    wish["limit"] = wish["limit"] or LIMIT
    spawn.Request(request)  # a wrong one is told before anything is made
    return wish


def job_start(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    """Start one; answers with its state."""
    from afield.agent.calls import Later
    from afield.agent.jobstart import START_WAIT, start

    wish = wish_of(args)
    base = jobdir.root(keeper.info)
    for job in wish["after"]:
        jobdir.load(base, job)
    view = None if wish["request"]["view"] is None else keeper.views().get(wish["request"]["view"])
    if view is not None and not view.is_whole():
        raise NoSuchView("the view there is not what it was", hint="ask for it again")
    keep = () if view is None else view.descriptors
    return Later(lambda: start(keeper.info, wish, view), START_WAIT, _or_error, keep)


def _or_error(value: "Any") -> "Any":
    if "error" in value:
        raise from_value(value["error"])
    return value


def jobs(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    """List all."""
    from afield.agent.calls import Later

    base = jobdir.root(keeper.info)
    if args["count"]:
        return {"live": jobdir.count_live(base)}
    if _answers_at_once(base):
        return jobdir.listing(base)
    return Later(lambda: jobdir.listing(base), LOOK_WAIT)


def _answers_at_once(base: "str") -> "bool":
    """Whether the list can be read here and now: few jobs, on a disk of this machine. A child takes 10 to 50 ms."""
    from time import monotonic

    from afield.agent.vfork import local_folder

    try:
        return local_folder(os.fsencode(base), monotonic()) and len(os.listdir(base)) < FEW
    except OSError:
        return False


def job_top(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":  # noqa: ARG001 one interface for all calls
    """Look once at what they use."""
    from afield.agent.calls import Later
    from afield.agent.jobtop import top

    base = jobdir.root(keeper.info)
    return Later(lambda: top(base), TOP_WAIT)


def job_stop(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    """Order the keeper to end its job; answers at once, whoever waits for the end views the job."""
    if not 0 < args["signal"] < c_signal.NSIG:
        raise ProtocolError("signal: expected a number, got %r" % (args["signal"],))
    base = jobdir.root(keeper.info)
    job = jobdir.load(base, args["job"])
    return order_stop(base, job, args["signal"], args["grace"] / 1000.0)


def order_stop(base: "str", job: "Dict[str, Any]", number: "int", grace: "float") -> "Dict[str, Any]":
    """Tell the keeper; without one signal the process itself. Blocks for a moment at most. Raises ProcessError."""
    reached = False
    if job["state"] in jobdir.LIVE or job["lingers"]:
        reached = _say(os.path.join(base, job["id"]), {"stop": {"signal": number, "grace": grace}})
    elif job["alive"]:
        records.signal_group(job["process"][0], number)
        records.signal_group(job["process"][0], int(c_signal.SIGCONT))
        reached = True
    elif job["state"] == "elsewhere":
        raise ProcessError(
            "job %s runs on another host: %s" % (job["name"], job["host"]), hint="stop it through that machine"
        )
    return {"reached": reached}


def _say(folder: "str", value: "Any") -> "bool":
    import _socket

    from afield.wire.records import encode_record

    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    held = -1
    try:
        name, held = jobdir.address(folder)
        sock.settimeout(STOP_PATIENCE)
        sock.connect(name)
        sock.sendall(encode_record(value))
        sock.shutdown(_socket.SHUT_WR)
        sock.recv(1)  # the keeper hangs up when it has read all
    except OSError:
        return False  # it has just ended
    finally:
        sock.close()
        if held >= 0:
            os.close(held)
    return True


def job_mark(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    """Leave a mark on a job."""
    jobdir.set_mark(jobdir.root(keeper.info), args["job"], args["mark"])
    return {"marked": True}


def job_remove(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    """Remove a job that has ended, and its output; ``force`` ends it first."""
    from afield.agent.calls import Later

    base = jobdir.root(keeper.info)
    job = jobdir.load(base, args["job"])
    if job["state"] in jobdir.LIVE and not args["force"]:
        raise ProcessError(
            "job %s has not ended" % job["name"], hint="end it first: afield stop %d, or use --force" % job["number"]
        )

    def work() -> "Dict[str, Any]":
        if job["state"] not in jobdir.LIVE:
            let_be_seen(base, job["id"])
        return end_all(base, [job])

    return Later(work, REMOVE_WAIT)


def let_be_seen(base: "str", job: "str") -> "None":
    """Wait until who follows this job, which has ended, has had a look at how: after its removal it could not be told. Blocks."""
    from time import monotonic, sleep

    end = monotonic() + SEEN_WAIT
    while monotonic() < end and any(row["state"] == "waiting" and job in row["after"] for row in jobdir.listing(base)):
        sleep(0.05)


def jobs_clean(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":  # noqa: ARG001 one interface for all calls
    """End every job of this host and remove everything about jobs."""
    from afield.agent.calls import Later

    base = jobdir.root(keeper.info)
    return Later(lambda: clean(base), REMOVE_WAIT)


def clean(base: "str") -> "Any":
    """Do it. Blocks. Raises OSError."""
    rows = jobdir.listing(base)
    kept = [row for row in rows if row["state"] == "elsewhere"]
    done = end_all(base, [row for row in rows if row["state"] != "elsewhere"])
    if not kept and os.path.isdir(base):
        import shutil

        shutil.rmtree(base)
        try:
            os.rmdir(os.path.dirname(base))
        except OSError:
            pass
    return {"removed": done["removed"], "kept": [row["name"] for row in kept]}


def end_all(base: "str", rows: "Any") -> "Dict[str, Any]":
    """End these jobs (TERM, then KILL) and remove them. Blocks. Raises OSError."""
    from time import monotonic, sleep

    for row in rows:
        if row["state"] in jobdir.LIVE or row["lingers"] or row["alive"]:
            order_stop(base, row, int(c_signal.SIGTERM), STOP_PATIENCE)
    removed = []
    for row in rows:
        end = monotonic() + STOP_PATIENCE * 3
        while _there(base, row) and monotonic() < end:
            sleep(0.02)
        now = _there(base, row)
        if now:
            # Neither asked nor killed by its keeper: what is left of both is ended here.
            if now["alive"]:
                records.signal_group(now["process"][0], int(c_signal.SIGKILL))
            if jobdir.is_alive(now["keeper"]):
                os.kill(now["keeper"][0], int(c_signal.SIGKILL))
        jobdir.remove(base, row["id"])
        removed.append(row["name"])
    return {"removed": removed}


def _there(base: "str", row: "Dict[str, Any]") -> "Any":
    """Give the job as long as anything of it runs."""
    try:
        job = jobdir.load(base, row["id"])
    except ProcessError:
        return None
    return job if job["state"] in jobdir.LIVE or job["lingers"] or job["alive"] else None
