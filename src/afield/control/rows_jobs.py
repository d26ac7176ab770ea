"""The rows of the table of verbs that are about jobs. Pure; the rules are those of schema.py."""

from __future__ import annotations

from afield.control.rows import Arg, Verb

_PLACE = (Arg("project", "folder", required=True), Arg("machine", "name"))
_NAMED = Arg("jobs", "texts", required=True)

JOB_ROWS = (
    Verb("jobs", 1, (*_PLACE, Arg("all", "bool", default=False)), "list of jobs, oldest first"),
    Verb(
        "job-start",
        1,
        (
            *_PLACE,
            Arg("mode", "text", default="run"),
            Arg("argv", "texts", required=True),
            Arg("cwd", "folder", required=True),
            Arg("env", "texts"),
            Arg("sync", "bool", default=True),
            Arg("name", "text"),
            Arg("pty", "bool", default=False),
            Arg("window", "counts"),
            Arg("limit", "count"),
            Arg("after", "texts"),
            Arg("after_any", "bool", default=False),
            Arg("gpus", "count"),
            Arg("gpu_wait", "bool", default=False),
            Arg("notify", "bool", default=False),
            Arg("notify_url", "text"),
            Arg("notify_command", "text"),
            Arg("sync_back", "texts"),
            Arg("environment", "text"),
        ),
        "ready (false: say up first), job",
    ),
    Verb("job-find", 1, (*_PLACE, Arg("job", "text", required=True)), "the job that a word means"),
    Verb("job-wait", 1, (*_PLACE, _NAMED), "list of the jobs as they ended"),
    Verb(
        "job-stop",
        1,
        (*_PLACE, _NAMED, Arg("signal", "count", default=15), Arg("grace", "count", default=10_000)),
        "list of the jobs as they ended; grace in milliseconds until they are killed",
    ),
    Verb(
        "job-remove",
        1,
        (
            *_PLACE,
            Arg("jobs", "texts"),
            Arg("ended", "bool", default=False),
            Arg("force", "bool", default=False),
        ),
        "removed: names",
    ),
    Verb("top", 1, _PLACE, "host, machine, gpus, jobs with their use as counters, time, hz"),
)
