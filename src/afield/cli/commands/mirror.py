"""A read-only local copy of the sources that the environment there has, for tools that read files: mypy, pyright, PyCharm, goto.

  afield mirror sync                    make it, or bring it up to date; only what changed travels
  afield mirror status                  what is here, how old it is, what somebody else wrote into it
  afield mirror get /usr/lib/x.py       bring one file now; prints where it is here
  afield mirror remove                  take it away

Equal files are kept once for all environments, projects and machines of yours.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask, project_of
from afield.cli.parse import add_json, add_machine
from afield.cli.render_mirror import removed_text, status_text, synced_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from afield.cli.terminal import Terminal

    Action = Callable[[argparse.Namespace, Terminal], int]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    each: dict[str, Any] = {}
    for name, (text, _) in ACTIONS.items():
        each[name] = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        add_machine(each[name])
        add_json(each[name])
    each["sync"].add_argument("--env", metavar="NAME", help="the environment there (default: the one in use)")
    each["sync"].add_argument(
        "--full", action="store_true", help="look at every file: also finds what was edited in an installed package"
    )
    each["get"].add_argument("path", metavar="FAR_PATH", help="an absolute path there")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Do one of the actions."""
    return ACTIONS[args.action][1](args, terminal)


def _sync(args: argparse.Namespace, terminal: Terminal) -> int:
    done = ask("mirror-sync", args, terminal, env=args.env, full=args.full)
    for folder in done["large"]:
        terminal.note(f"left out, there is more in it than an environment has: {folder}")
    if done["missing"]:
        terminal.note(f"{done['missing']} files there could not be read; the next sync tries again")
    terminal.result(done, synced_text(done))
    return 0


def _status(args: argparse.Namespace, terminal: Terminal) -> int:
    told = ask("mirror-status", args, terminal)
    terminal.result(told, status_text(told))
    return 0


def _get(args: argparse.Namespace, terminal: Terminal) -> int:
    told = ask("mirror-get", args, terminal, path=args.path)
    terminal.result(told, told["path"])
    return 0


def _remove(args: argparse.Namespace, terminal: Terminal) -> int:
    from afield.shim.install import close_lib, installed_machine

    done = ask("mirror-remove", args, terminal)
    folder = project_of(args)[0].folder
    if installed_machine(folder) is not None:
        with contextlib.suppress(OSError):
            close_lib(folder)
    terminal.result(done, removed_text(done))
    return 0


ACTIONS: dict[str, tuple[str, Action]] = {
    "sync": ("make the mirror, or bring it up to date", _sync),
    "status": ("what is here", _status),
    "get": ("bring one file that is there, and print where it is here", _get),
    "remove": ("take the mirror of this project away", _remove),
}
