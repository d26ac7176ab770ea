"""Questions and small orders: one answer each  [P].

A table of names. What may hang or take long runs in a forked child (``helpers``). Nothing that streams goes in here.
"""

# ruff: noqa: ARG001  every row of the table takes both arguments

import os
import stat
from time import time

from afield.agent.session import Service
from afield.errors import AfieldError, NoSuchProcess
from afield.wire.messages import read_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

    from afield.agent.keeper import Keeper
    from afield.agent.session import Channel

# Removing a folder of a million files over a network disk.
CLEAN_WAIT = 600.0
# A name looked up on a dead network disk.
LOOK_WAIT = 20.0


class Later:
    """The answer of a slow call: work for a child, and what to make of its result here; keep: descriptors that the work needs."""

    def __init__(
        self,
        work: "Callable[[], Any]",
        limit: "float",
        then: "Callable[[Any], Any]" = lambda value: value,
        keep: "Any" = (),
    ) -> "None":
        self.work = work
        self.limit = limit
        self.then = then
        self.keep = keep


class Told:
    """The answer of a call that tells it by itself: ``begin(done)``, and then ``done(value, None)`` or ``done(None, error)``."""

    def __init__(self, begin: "Callable[[Callable[[Any, Any], Any]], Any]") -> "None":
        self.begin = begin


class Call(Service):
    """One call; closing the stream cancels it."""

    def __init__(self, keeper: "Keeper", channel: "Channel", header: "Dict[str, Any]") -> "None":
        self._channel = channel
        self._helper: "Any" = None
        name, args = read_call(header)
        answer = TABLE[name](keeper, args)
        if isinstance(answer, Told):
            answer.begin(self._told)
            return
        if not isinstance(answer, Later):
            self._answer(answer)
            return
        from afield.agent.helpers import in_child

        then = answer.then
        self._helper = in_child(
            keeper, answer.work, lambda value, failure: self._late(value, failure, then), answer.limit, answer.keep
        )

    def _late(self, value: "Any", failure: "str", then: "Callable[[Any], Any]") -> "None":
        self._helper = None
        if failure:
            self._channel.close(AfieldError("the place could not answer: %s" % failure))
            return
        try:
            answer = then(value)
        except AfieldError as error:
            self._channel.close(error)
            return
        self._answer(answer)

    def _told(self, value: "Any", error: "Any") -> "None":
        if error is not None:
            self._channel.close(error)
        else:
            self._answer(value)

    def _answer(self, value: "Any") -> "None":
        self._channel.message(value)
        self._channel.close()

    def closed(self) -> "None":
        """Stop the work: the client does not want the answer any more."""
        if self._helper is not None:
            self._helper.cancel()
            self._helper = None


def _jobs(name: "str") -> "Callable[[Keeper, Dict[str, Any]], Any]":
    """Give a call about jobs; they are loaded when the first one comes."""

    def answer(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
        from afield.agent import jobcalls

        return getattr(jobcalls, name)(keeper, args)

    return answer


def _ping(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    return {"now": time()}


def _facts(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    from afield.agent.facts import FACTS_WAIT, facts

    return Later(facts, FACTS_WAIT)


def _processes(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    return [process.describe() for process in keeper.processes.values()]


def _kill(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    process = keeper.processes.get(args["id"])
    if process is None:
        raise NoSuchProcess("no process of this id is kept there")
    return {"reached": process.signal(args["signal"])}


def _footprint(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    files, disk = 0, sum(process.journal.disk for process in keeper.processes.values())
    for folder in keeper.folders():
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))
            except OSError:
                continue
            if not stat.S_ISDIR(status.st_mode):
                files += 1
                disk += status.st_size
    return {
        "pid": os.getpid(),
        "rss": resident(),
        "processes": 1 + len(keeper.helpers) + keeper.bridges(),
        "files": files,
        "disk": disk,
        "jobs": _count_jobs(keeper),
    }


def _count_jobs(keeper: "Keeper") -> "int":
    from afield.agent import jobdir

    return jobdir.count_live(jobdir.root(keeper.info))


def resident() -> "int":
    """Give the resident memory of this process in bytes (proc(5), statm), its peak where there is no /proc."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read(256).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _clean(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    from afield.agent.cleaning import checked, clean

    named = [checked(folder) for folder in args["folders"]]
    cache = keeper.info.get("cache") or ""

    def done(removed: "Any") -> "Any":
        keeper.leave_when_idle()
        return {"removed": removed, "kept": [process.describe() for process in keeper.kept()]}

    return Later(lambda: clean(cache, named), CLEAN_WAIT, done)


def _quit(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    kept = [process.describe() for process in keeper.kept()]
    if not kept:
        keeper.leave_when_idle()
    return {"ends": not kept, "kept": kept}


def _stat(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    from afield.agent.spawn import expand

    path = expand(args["path"])
    return Later(lambda: look(path), LOOK_WAIT)


def look(path: "bytes") -> "Any":
    """Describe one path, null when nothing is there. Raises OSError when it cannot be seen."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    kinds = ((stat.S_ISDIR, "d"), (stat.S_ISREG, "f"), (stat.S_ISLNK, "l"))
    return {
        "path": path,
        "kind": next((kind for test, kind in kinds if test(status.st_mode)), "o"),
        "size": status.st_size,
        "mode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "mtime": status.st_mtime,
        "target": os.readlink(path) if stat.S_ISLNK(status.st_mode) else None,
        "real": os.path.realpath(path),
        "writable": os.access(path, os.W_OK),
        "empty": not os.listdir(path) if stat.S_ISDIR(status.st_mode) and os.access(path, os.R_OK) else None,
    }


def _envs(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    from afield.agent.environments import ENVS_WAIT, envs

    return Later(lambda: envs(keeper.info, args["roots"]), ENVS_WAIT)


def _env_packages(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    from afield.agent.environments import ENVS_WAIT, env_packages

    return Later(lambda: env_packages(args["prefix"], args["version"]), ENVS_WAIT)


def _env_remove(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    from afield.agent.environments import env_remove

    return Later(lambda: env_remove(keeper.info, args["prefix"], args["keep"], args["foreign"]), CLEAN_WAIT)


def _ways(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    from afield.agent.ways import ways

    return Told(lambda done: ways(keeper, args["there"], args["local"], done))


def _view(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    return Told(lambda done: keeper.views().open(args, done))


def _view_bind(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    return Told(lambda done: keeper.views().bind(args["view"], args["binds"], done))


def _which(keeper: "Keeper", args: "Dict[str, Any]") -> "Any":
    name = os.fsencode(args["name"])
    return Later(lambda: which(name), LOOK_WAIT)


def which(name: "bytes") -> "Any":
    """Give the program file that a name means in the login's PATH, null when there is none."""
    from afield.agent.spawn import DEFAULT_PATH, candidates

    for path in candidates(name, os.environb.get(b"PATH", DEFAULT_PATH)):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


TABLE: "Dict[str, Callable[[Keeper, Dict[str, Any]], Any]]" = {
    "ping": _ping,
    "facts": _facts,
    "processes": _processes,
    "kill": _kill,
    "footprint": _footprint,
    "clean": _clean,
    "quit": _quit,
    "stat": _stat,
    "which": _which,
    "ways": _ways,
    "view": _view,
    "view-bind": _view_bind,
    "envs": _envs,
    "env-packages": _env_packages,
    "env-remove": _env_remove,
    "job-start": _jobs("job_start"),
    "jobs": _jobs("jobs"),
    "job-top": _jobs("job_top"),
    "job-stop": _jobs("job_stop"),
    "job-mark": _jobs("job_mark"),
    "job-remove": _jobs("job_remove"),
    "jobs-clean": _jobs("jobs_clean"),
}
