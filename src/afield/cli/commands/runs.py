"""`afield python`, `afield run` and `afield shell`: run something there as if it were here.

Their own options stand first; everything after them belongs to the program there, byte for byte. Parsed by hand, because a
parser would have to know Python's grammar, and because start-up is part of every run.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # what is imported here is part of every run
if TYPE_CHECKING:
    import argparse
    from typing import Any

HELP = {
    "python": """\
usage: afield python [--machine NAME] [--no-sync] [PYTHON OPTIONS]
                     [-c CODE | -m MODULE | SCRIPT | -] [ARGUMENTS]

Like python, there: stdin, stdout and stderr apart, exit code, Ctrl-C, terminal
and working folder as if it ran here. Edits that were just saved are there
before it starts; files that it writes are here when it ends.

  --machine NAME   a machine of afield.toml (default: the one it names)
  --no-sync        do not wait for the sync, before and after
  -d, --detach     start it as a job that outlives the link;
                   options as for `afield run -d`
  --               end of afield's options:
                   `afield python -- --help` is Python's own help
""",
    "run": """\
usage: afield run [-m NAME | --machine NAME] [--no-sync] COMMAND [ARGUMENTS]

Run any command there, in the folder that matches this one; no shell in between
(use `afield run sh -c '…'` for one).

  -m, --machine NAME   a machine of afield.toml (default: the one it names)
  --no-sync            do not wait for the sync, before and after
  -d, --detach         start it as a job that outlives the link, the daemon and
                       this machine's sleep, with:
    --name NAME          what to call it (default: the program's name)
    --env NAME           an environment there (default: the one in use)
    --gpu N              take N GPUs that no process uses, or fail
    --gpu-wait           with --gpu: wait until so many are idle
    --after JOB          start when that job has succeeded
    --after-any          with --after: when it has ended in any way
    --pty                on a terminal of its own, for `afield attach`
    --journal SIZE       keep that much of its output there
                         (default 1 GiB; the oldest goes first)
    --notify             show its end on this desktop, when the link is there
    --notify-url URL     tell its end to a webhook, from the place
    --notify-command CMD
                         run this there when it has ended
    --sync-back PATTERN  bring these results here when it ends, whatever the
                         sync leaves out
    --json               print the job
""",
    "shell": """\
usage: afield shell [-m NAME | --machine NAME] [--twin]

A login shell there, on a terminal of its own, in the folder that matches this
one.

  -m, --machine NAME   a machine of afield.toml (default: the one it names)
  --twin               in the view that programs get: the project stands at its
                       path here
""",
}


class Own:
    """afield's own words of a command line, and the rest."""

    __slots__ = ("detach", "help", "job", "machine", "rest", "sync", "twin")

    def __init__(self) -> None:
        self.machine = ""
        self.sync = True
        self.help = False
        self.twin = False
        self.detach = False
        self.job: dict[str, Any] = {}
        self.rest: tuple[str, ...] = ()


def parse_own(verb: str, words: list[str]) -> Own:
    """Split off afield's own options. Raises UsageError."""
    from afield.errors import UsageError

    own = Own()
    machine_words = ("--machine",) if verb == "python" else ("--machine", "-m")
    left = list(words)
    while left:
        word = left[0]
        if word == "--":
            left = left[1:]
            break
        if word in ("-h", "--help"):
            own.help = True
            return own
        if word in machine_words:
            if len(left) < 2:
                raise UsageError(f"{word} needs the name of a machine")
            own.machine, left = left[1], left[2:]
        elif word.startswith("--machine="):
            own.machine, left = word.partition("=")[2], left[1:]
        elif word == "--no-sync":
            own.sync, left = False, left[1:]
        elif verb == "shell" and word == "--twin":
            own.twin, left = True, left[1:]
        elif verb != "shell" and word in ("-d", "--detach"):
            own.detach, left = True, left[1:]
        elif verb != "shell" and (taken := _job_option(own, left)):
            left = left[taken:]
        elif verb != "python" and word.startswith("-"):
            raise UsageError(f"afield {verb} has no option {word!r}", hint=f"afield {verb} --help")
        else:
            break
    own.rest = tuple(left)
    if verb == "run" and not left:
        raise UsageError("no command to run", hint="for example: afield run nvidia-smi")
    if own.job and not own.detach:
        raise UsageError(f"--{next(iter(own.job)).replace('_', '-')} is for jobs", hint=f"afield {verb} -d …")
    if own.detach and not left:
        raise UsageError("a job needs a command", hint=f"afield {verb} -d …")
    if verb == "shell" and left:
        raise UsageError("afield shell takes no command", hint="afield run COMMAND runs one")
    return own


# Options of a job: which take a value, which take several, which are flags.
_VALUED = ("name", "env", "gpu", "journal", "notify-url", "notify-command")
_LISTED = ("after", "sync-back")
_FLAGS = ("gpu-wait", "after-any", "pty", "notify", "json")


def _job_option(own: Own, left: list[str]) -> int:
    """Take an option of a job; gives how many words that was, 0 when it is none. Raises UsageError."""
    from afield.errors import UsageError

    name, equals, value = left[0].partition("=")
    if not name.startswith("--") or name[2:] not in (*_VALUED, *_LISTED, *_FLAGS):
        return 0
    key = name[2:].replace("-", "_")
    if name[2:] in _FLAGS:
        own.job[key] = True
        return 1
    if not equals and len(left) < 2:
        raise UsageError(f"{name} needs a value")
    value = value if equals else left[1]
    if name[2:] in _LISTED:
        own.job.setdefault(key, []).append(value)
    else:
        own.job[key] = value
    return 1 if equals else 2


def main(verb: str, words: list[str]) -> int:
    """Run verb with words; returns the exit status or ends by the signal that ended the program there. Raises AfieldError."""
    own = parse_own(verb, words)
    if own.help:
        sys.stdout.write(HELP[verb])
        return 0
    from afield.config.find import FILE, find_project
    from afield.errors import NoProject

    cwd = os.getcwd()
    project = find_project(cwd)
    if project is None:
        raise NoProject(
            f"no {FILE} in {cwd} or above",
            hint="make one with: afield init ssh://user@host   (or local:// to try it here)",
        )
    if own.detach:
        from afield.cli.jobs import start

        return start(verb, own.rest, own.job, project=project, machine=own.machine, sync=own.sync)
    return carry(verb, own.rest, project=project, machine=own.machine, sync=own.sync, twin=own.twin)


def main_for_shim(words: list[str]) -> int:
    """Do what the shim could not do alone: ``ARGV0 PROJECT MACHINE ARGUMENTS…``. Raises AfieldError."""
    argv0, project, machine, *rest = words
    return carry("python", tuple(rest), project=project, machine=machine, argv0=argv0)


def carry(
    mode: str,
    argv: tuple[str, ...],
    *,
    project: str,
    machine: str,
    argv0: str = "",
    sync: bool = True,
    env: dict[bytes, bytes] | None = None,
    twin: bool = False,
) -> int:
    """Run through the daemon; when it is not ready, bring the link (and the project) up and try once more. Raises AfieldError."""
    from afield.control import spawn
    from afield.control.paths import socket_path

    path = socket_path()
    if not os.path.exists(path):
        begin_daemon(project, machine)  # before anything else is imported: a login takes longer than all of that
    from afield.errors import LinkLost
    from afield.shim import ask, client, ends

    def attempt() -> int:
        status = client.relay(
            path,
            mode,
            argv,
            argv0=argv0,
            project=project,
            machine=machine,
            barrier=sync,
            wait=not sync,
            env=env,
            view=twin,
            daemon_start=[*spawn.cli_command(), "daemon", "start"],
        )
        if status < 0:
            ends.die(-status)
        return status

    try:
        try:
            if not sync:
                spawn.wait_begun()
            return attempt()
        except client.NotReadyError:
            begin_daemon(project, machine)
            make_ready(project, machine, sync=sync)
            return attempt()
    except client.NotReadyError:
        raise LinkLost(
            "the link was lost before the program started", hint="afield status says why; then try again"
        ) from None
    except ask.RelayError as error:
        text, _, hint = str(error).partition("\nhint: ")
        raise LinkLost(text, hint=hint or None) from None


def begin_daemon(project: str, machine: str) -> None:
    """Start a daemon that is missing now, so that it dials while what talks to it is imported; any trouble is left to `make_ready`."""
    from afield.control import spawn
    from afield.errors import AfieldError

    try:
        spawn.begin((project, machine or None))
    except (AfieldError, OSError):
        return


def make_ready(project: str, machine: str, *, sync: bool) -> None:
    """Bring up what the run needs, with questions and progress on the terminal. Raises AfieldError."""
    from afield.cli.commands.up import bring_up
    from afield.cli.terminal import Terminal

    # One that is there was made by an `up`; making it again would cost every cold run 30 ms.
    shim = not os.path.exists(os.path.join(project, ".afield", "shim.conf"))
    bring_up(project, machine or None, Terminal(), allowed=None, sync=sync, shim=shim)


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words for completion."""
    parser.add_argument("--machine", metavar="NAME")
    parser.add_argument("--no-sync", action="store_true")
    parser.add_argument("-d", "--detach", action="store_true")
    for name in (*_VALUED, *_LISTED):
        option = parser.add_argument(f"--{name}", metavar=name.upper())
        if name == "after":
            from afield.cli.jobs import complete_jobs

            option.completer = complete_jobs  # type: ignore[attr-defined]  # argcomplete reads this attribute
    for name in _FLAGS:
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("words", nargs="...")  # argparse.REMAINDER
