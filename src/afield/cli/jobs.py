"""What the verbs about jobs share: to start one, to name one, to look at one, and the exit status that tells how one ended."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from afield.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from afield.cli.terminal import Terminal

LIVE = ("starting", "waiting", "running")
# Of a job that has no status: lost in a reboot, skipped, never started (env(1) and timeout(1) use it for their own failures).
NO_STATUS = 125


def start(verb: str, argv: tuple[str, ...], wish: dict[str, Any], *, project: str, machine: str, sync: bool) -> int:
    """Start a job; brings the project up by need. Raises AfieldError."""
    from afield.cli.asking import ask_plain
    from afield.cli.commands.runs import make_ready
    from afield.cli.terminal import Terminal
    from afield.errors import LinkLost

    terminal = Terminal(json=bool(wish.pop("json", False)))
    fields = {"project": project, "machine": machine or None, "mode": verb, "argv": list(argv), **fields_of(wish)}
    fields.update(cwd=os.getcwd(), env=[f"{name}={value}" for name, value in os.environ.items()], sync=sync)
    for _ in range(2):
        done = ask_plain("job-start", terminal, dial=(project, machine or None), **fields)
        if done["ready"]:
            terminal.result(done["job"], started_text(done["job"]))
            return 1 if done["job"]["state"] in ("skipped", "failed") else 0
        make_ready(project, machine, sync=sync)
    raise LinkLost("the link was lost before the job started", hint="afield status says why; then try again")


def fields_of(wish: dict[str, Any]) -> dict[str, Any]:
    """Give the arguments of ``job-start`` for the options of the command line. Raises UsageError."""
    from afield.config.schema import parse_size

    fields = {name: wish[name] for name in wish if name not in ("env", "gpu", "journal")}
    if not wish.get("name", "").isprintable():
        raise UsageError(f"--name expects a name of one line without control characters, got {wish['name']!r:.60}")
    if "env" in wish:
        fields["environment"] = wish["env"]
    if "gpu" in wish:
        if not wish["gpu"].isdigit() or not 0 < int(wish["gpu"]) <= 1024:
            raise UsageError(f"--gpu expects a number of GPUs, got {wish['gpu']!r}")
        fields["gpus"] = int(wish["gpu"])
    if "journal" in wish:
        fields["limit"] = parse_size(wish["journal"])
    if wish.get("after_any") and not wish.get("after"):
        raise UsageError("--after-any says how --after is meant", hint="--after JOB --after-any")
    if wish.get("gpu_wait") and "gpu" not in wish:
        raise UsageError("--gpu-wait says how --gpu is meant", hint="--gpu N --gpu-wait")
    url = wish.get("notify_url")
    if url and not url.startswith(("http://", "https://")):
        raise UsageError(f"--notify-url expects an address that begins with https:// or http://, got {url!r:.60}")
    for pattern in wish.get("sync_back", ()):
        if pattern.startswith(("/", "~")) or ".." in pattern.split("/") or not pattern:
            raise UsageError(
                f"--sync-back expects a pattern below the project's folder, got {pattern!r:.60}",
                hint="such as 'runs/**'; `afield get` fetches from anywhere",
            )
    if wish.get("pty"):
        try:
            size = os.get_terminal_size()
            fields["window"] = [size.lines, size.columns]
        except OSError:
            fields["window"] = [24, 80]
    return fields


def started_text(job: dict[str, Any]) -> str:
    """Say what was started and how to look at it. Pure."""
    from afield.cli.terminal import one_line

    name, number = one_line(str(job["name"])), job["number"]
    if job["state"] == "waiting":
        return f"job {number} ({name}) waits: {job['why']}"
    if job["state"] not in LIVE and job["why"]:
        return f"job {number} ({name}) was {job['state']}: {job['why']}"
    gpus = f" on GPU {', '.join(map(str, job['gpus']))}" if job["gpus"] else ""
    return f"job {number} ({name}) runs{gpus}; look: afield logs -f {number}"


def status_of(job: dict[str, Any]) -> int:
    """Give the exit status that tells how a job ended: its own, 128 + signal, or NO_STATUS. Pure."""
    ended = job.get("exit") or {}
    if "exit" in ended:
        return int(ended["exit"])
    return 128 + int(ended["killed"]) if "killed" in ended else NO_STATUS


def worst_of(jobs: list[dict[str, Any]]) -> int:
    """Give the status of the first that did not succeed, 0 when all did. Pure."""
    return next((status for job in jobs if (status := status_of(job))), 0)


def add_job(parser: argparse.ArgumentParser, *, several: bool = False, optional: bool = False) -> None:
    """Add the words that name jobs."""
    count = {"nargs": "*" if optional else "+"} if several else {}
    text = "its number, its name, or the beginning of its name or id"
    option = parser.add_argument("jobs" if several else "job", metavar="JOB", help=text, **count)  # type: ignore[arg-type]
    option.completer = complete_jobs  # type: ignore[attr-defined]  # argcomplete reads this attribute


def complete_jobs(**_: Any) -> list[str]:
    """Give names and numbers of the jobs, for argcomplete; nothing when no link is there to ask."""
    from afield.config.load import load_project
    from afield.control.client import connect
    from afield.errors import AfieldError

    try:
        project = load_project()
        with connect(start=False) as client:
            args = {"project": project.folder, "machine": project.machine(None).name}
            rows = client.request("jobs", args, timeout=2.0)
    except AfieldError:
        return []
    return [*dict.fromkeys(str(row["name"]) for row in reversed(rows)), *(str(row["number"]) for row in rows)]


def named(args: argparse.Namespace, terminal: Terminal, word: str) -> dict[str, Any]:
    """Give the job that a word means. Raises NoSuchProcess, UsageError."""
    from afield.cli.asking import ask

    found: dict[str, Any] = ask("job-find", args, terminal, job=word)
    return found


def look(args: argparse.Namespace, words: list[str], *, keys: bool = False) -> int:
    """Show a job's output on this process's own descriptors; the words are those of the daemon's job mode.

    Without ``keys`` nobody reads what is typed: the terminal stays as it is, and Ctrl-C is for us.
    """
    if not keys:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
    from afield.cli.asking import project_of
    from afield.cli.commands.runs import carry

    project, machine = project_of(args)
    return carry("job", tuple(words), project=project.folder, machine=machine, sync=False, env={})
