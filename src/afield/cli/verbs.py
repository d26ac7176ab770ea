"""The table of verbs: name, module, one line of help, group. Pure, and cheap to import: `afield --help` reads only this."""

from __future__ import annotations

TYPE_CHECKING = False  # dataclasses and typing would cost half of all the time that `afield --help` takes
if TYPE_CHECKING:
    from typing import Final


class Verb:
    """``module`` is below ``afield.cli.commands`` and is imported when the verb is used."""

    __slots__ = ("group", "help", "module", "name")

    def __init__(self, name: str, module: str, help: str, group: str) -> None:  # noqa: A002 the word of the field
        self.name = name
        self.module = module
        self.help = help
        self.group = group


GROUPS: Final = ("start", "run", "jobs", "files", "look", "more")
TITLES: Final = {
    "start": "set up and stop",
    "run": "run there",
    "jobs": "jobs: what outlives the link",
    "files": "files",
    "look": "look",
    "more": "more",
}
VERBS: Final = (
    Verb("init", "init", "name the place of this project: writes afield.toml, tries it", "start"),
    Verb("up", "up", "link, first sync, then live sync in the background", "start"),
    Verb("down", "down", "stop the sync and the link of this project", "start"),
    Verb("clean", "clean", "remove every trace of afield from the place", "start"),
    Verb("keys", "keys", "make the key login to a host work: afield keys setup HOST", "start"),
    Verb("demo", "demo", "see it all in a minute, in a place of its own on this machine", "start"),
    Verb("python", "runs", "like python, there: afield python train.py --lr 0.1", "run"),
    Verb("run", "runs", "run any command there: afield run nvidia-smi", "run"),
    Verb("shell", "runs", "a login shell there", "run"),
    Verb("jobs", "jobs", "list the jobs there: what runs, waits and has ended", "jobs"),
    Verb("logs", "logs", "the output of a job, also while it runs: afield logs -f train", "jobs"),
    Verb("attach", "attach", "watch a job and type into its terminal; Ctrl-\\ twice leaves it", "jobs"),
    Verb("wait", "wait", "wait until jobs have ended; the exit status is theirs", "jobs"),
    Verb("stop", "stop", "end jobs: SIGTERM, then SIGKILL", "jobs"),
    Verb("rm", "rm", "remove jobs that have ended, and their output", "jobs"),
    Verb("top", "top", "jobs, processor, memory and GPUs there, live", "jobs"),
    Verb("env", "env", "environments: list, use, create, install, export, diff, remove", "run"),
    Verb(
        "mirror",
        "mirror",
        "sources of the environment there, for tools that read files here",
        "run",
    ),
    Verb("forward", "forward", "carry a port here: afield forward 8000", "run"),
    Verb("sync", "sync", "sync now, or show what a sync would do (--dry-run)", "files"),
    Verb("git", "git", "carry commits, branches and tags both ways: afield git sync", "files"),
    Verb("conflicts", "conflicts", "list the paths that changed on both sides", "files"),
    Verb("diff", "diff", "show how a path, or each conflict, differs here and there", "files"),
    Verb("resolve", "resolve", "settle conflicts: --here, --there, --both or --merge", "files"),
    Verb("undo", "undo", "bring back what the last sync replaced or deleted", "files"),
    Verb("history", "history", "list what syncs replaced or deleted", "files"),
    Verb("compare", "compare", "what differs in a folder here and there, without a sync", "files"),
    Verb("ls", "ls", "list a folder there", "files"),
    Verb("tree", "tree", "draw a folder there and all below it", "files"),
    Verb("get", "get", "copy files and folders from there", "files"),
    Verb("put", "put", "copy files and folders to there", "files"),
    Verb("cat", "cat", "print a file that is there", "files"),
    Verb("open", "open", "open a file in the editor, also one that is only there", "files"),
    Verb("status", "status", "links, sync, conflicts, agents", "look"),
    Verb("doctor", "doctor", "check link, paths, environment, disk, clock and more, with hints", "look"),
    Verb("why", "why", "why a path is synced, waits, differs or stays out", "look"),
    Verb("ignored", "ignored", "the rule that leaves a path out, or the biggest left out", "look"),
    Verb("facts", "facts", "what the place has: system, Pythons, memory, disks, GPUs", "look"),
    Verb("processes", "processes", "what runs there through afield; --kill ID ends one", "look"),
    Verb("config", "config", "every setting, its value and where it comes from", "look"),
    Verb("daemon", "daemon", "start, stop or read the log of the background process", "more"),
    Verb("completion", "completion", "print the completion script of bash, zsh or fish", "more"),
)
BY_NAME: Final = {verb.name: verb for verb in VERBS}


def overview(program: str, version: str) -> str:
    """Give the text of ``--help``."""
    lines = [
        f"usage: {program} [-C FOLDER] COMMAND …",
        "",
        "Your Python, far afield: files stay here, Python runs there.",
        "",
    ]
    for group in GROUPS:
        lines.append(f"{TITLES[group]}:")
        lines += [f"  {verb.name:<12}{verb.help}" for verb in VERBS if verb.group == group]
        lines.append("")
    lines += [
        "first steps:  afield init ssh://me@host, afield up, afield python script.py",
        f"each command has its own --help; version {version}",
    ]
    return "\n".join(lines)
