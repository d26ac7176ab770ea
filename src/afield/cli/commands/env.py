"""Environments there: which Pythons a place has, and which one this project runs in.

  afield env list                       everything that is there, with versions and what is broken
  afield env use ml                     run in it: afield python, afield run, .afield/bin/python
  afield env create ml --python 3.12    make one; needs no root, no ensurepip and no network there
  afield env install -r requirements.txt
  afield env diff                       what differs from the environment here

`install` resolves and downloads here, with pip and the indexes of here, and carries the wheels over the link.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from afield.cli import envs
from afield.cli.asking import ask, project_of
from afield.cli.parse import add_json, add_machine
from afield.cli.render_envs import diff_text, envs_text, export_lines, export_value, installed_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.cli.terminal import Terminal

    Action = Callable[[argparse.Namespace, Terminal], int]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    each = {name: _action(actions, name, text) for name, (text, _) in ACTIONS.items()}
    each["use"].add_argument("name", nargs="?", help="a name of `afield env list`, KIND:NAME, or a path there")
    each["use"].add_argument("--none", action="store_true", help="run in none again")
    create = each["create"]
    create.add_argument("name", help="what to call it")
    create.add_argument("--python", metavar="X.Y", help="the version, or the path of an interpreter there")
    create.add_argument(
        "--with", dest="tool", choices=("venv", "uv", "conda"), default="venv", help="what makes it there"
    )
    create.add_argument("--no-pip", action="store_true", help="leave pip out")
    create.add_argument("--use", action="store_true", help="use it at once")
    _install_arguments(each["install"])
    for name in ("export", "diff"):
        each[name].add_argument("--env", metavar="NAME", help="the environment there (default: the one in use)")
    each["diff"].add_argument(
        "--here", metavar="FOLDER", help="the environment here (default: the active one, else .venv of the project)"
    )
    each["remove"].add_argument("name", help="which one")
    each["remove"].add_argument("--yes", action="store_true", help="also one that afield did not make")


def _action(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
    add_machine(made)
    add_json(made)
    return made


def _install_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help='such as numpy or "torch>=2"')
    parser.add_argument(
        "-r",
        "--requirement",
        dest="files",
        action="append",
        default=[],
        metavar="FILE",
        help="requirements or pyproject.toml",
    )
    parser.add_argument("--extra", action="append", default=[], metavar="NAME", help="an extra of that pyproject.toml")
    parser.add_argument("--group", action="append", default=[], metavar="NAME", help="a dependency group of it")
    parser.add_argument("--env", metavar="NAME", help="the environment there (default: the one in use)")
    parser.add_argument("-U", "--upgrade", action="store_true", help="newer versions of what is named")
    parser.add_argument("--build", action="store_true", help="build here what has no wheel (runs its code here)")
    parser.add_argument("--direct", action="store_true", help="let pip there use the network there")
    parser.add_argument(
        "--pip", action="append", default=[], metavar="OPTION", help="an option for pip, such as --pip=--find-links=DIR"
    )


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Do one of the actions."""
    return ACTIONS[args.action][1](args, terminal)


def _list(args: argparse.Namespace, terminal: Terminal) -> int:
    found = ask("env-list", args, terminal)
    terminal.result(found, envs_text(found))
    return 0


def _use(args: argparse.Namespace, terminal: Terminal) -> int:
    chosen = envs.use(args, terminal, None if args.none else args.name)
    _, machine = project_of(args)
    text = f"{machine} runs in {chosen['name']}: Python {chosen['version']}, {chosen['path']}" if chosen else ""
    terminal.result({"machine": machine, "env": chosen}, text or f"{machine} runs in no environment")
    return 0


def _create(args: argparse.Namespace, terminal: Terminal) -> int:
    made = ask("env-create", args, terminal, name=args.name, python=args.python, **{"with": args.tool})
    env = made["env"]
    if args.tool == "venv" and not args.no_pip:
        envs.bring_pip(args, terminal, env["path"])
    if args.use:
        envs.use(args, terminal, args.name)
    hint = "" if args.use else f"\nuse it: afield env use {args.name}"
    terminal.result(made, f"made {env['path']}: Python {env['version']}{hint}")
    return 0


def _install(args: argparse.Namespace, terminal: Terminal) -> int:
    done = envs.install(args, terminal)
    terminal.result(done, installed_text(done))
    return 0


def _export(args: argparse.Namespace, terminal: Terminal) -> int:
    told = ask("env-packages", args, terminal, env=args.env)
    terminal.result(export_value(told), "\n".join(export_lines(told["packages"])))
    return 0


def _diff(args: argparse.Namespace, terminal: Terminal) -> int:
    done = envs.diff(args, terminal)
    terminal.result(done, diff_text(done))
    return 1 if done["differences"] else 0


def _remove(args: argparse.Namespace, terminal: Terminal) -> int:
    done = ask("env-remove", args, terminal, env=args.name, foreign=args.yes)
    terminal.result(done, f"removed {done['removed']}")
    project, machine = project_of(args)
    if project.machine(machine).environment in (args.name, done["removed"]):
        envs.use(args, terminal, None)
        terminal.note(f"{machine} ran in it: now it runs in none ({os.path.basename(project.folder)}/afield.toml)")
    return 0


ACTIONS: dict[str, tuple[str, Action]] = {
    "list": ("what is there: venv, conda, uv, pyenv, poetry, pipx, modules, the system's and more", _list),
    "use": ("choose what this project runs in (writes env = NAME into afield.toml)", _use),
    "create": ("make one", _create),
    "install": ("install packages, carried over the link", _install),
    "export": ("print what is installed as requirements", _export),
    "diff": ("compare with the environment here; exit status 1 when they differ", _diff),
    "remove": ("remove one that afield made", _remove),
}
