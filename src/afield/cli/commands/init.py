"""Name the place of this project.

Writes afield.toml in the working folder (or adds a machine to the one that is there), then logs in once and says what was
found. When the login fails nothing is written.

  afield init ssh://me@gpu1            a host, by ssh's own settings and keys
  afield init gpu1                     the same for a Host of ~/.ssh/config
  afield init local://                 a place on this machine, to try things
"""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask_plain
from afield.cli.parse import add_ssh
from afield.cli.render import facts_line
from afield.config import write
from afield.config.find import FILE
from afield.config.load import load_project
from afield.config.schema import check_machine_name
from afield.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("place", help="ssh://user@host[:port], a Host of ~/.ssh/config, or local://")
    parser.add_argument("--name", help="what to call the machine (default: the host's name)")
    parser.add_argument("--folder", help="the project's folder there (default: ~/afield/PROJECT)")
    parser.add_argument("--python", help="the Python there that `afield python` runs")
    parser.add_argument(
        "--agent-python", help="the Python there that carries the agent, when python3 is not the right one"
    )
    add_ssh(parser)
    parser.add_argument("--no-check", action="store_true", help="write the file without logging in")
    parser.add_argument("--replace", action="store_true", help="replace the whole afield.toml that is there")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Write, check, and take the file back when the check fails."""
    folder = os.getcwd()
    if os.path.realpath(folder) in ("/", os.path.realpath(os.path.expanduser("~"))):
        raise ConfigError(
            f"{folder} is not a project's folder",
            hint="make a folder for the project, go there, and run afield init again",
        )
    path = os.path.join(folder, FILE)
    if not args.place.strip():
        raise UsageError(f"expected a place, got {args.place!r}", hint="for example ssh://me@gpu1, gpu1 or local://")
    name = check_machine_name(args.name or _name_of(args.place))
    project = os.path.basename(os.path.realpath(folder))
    machine = write.render_machine(
        name,
        args.place,
        args.folder or f"~/afield/{project}",
        python=args.python,
        agent_python=args.agent_python,
        ssh=tuple(args.ssh),
    )
    before = _read(path)
    text = write.render_new(name, machine) if before is None or args.replace else _append(path, name, before, machine)
    _write(path, text)
    try:
        load_project(folder)
        found = (
            None if args.no_check else ask_plain("connect", terminal, project=os.path.realpath(folder), machine=name)
        )
    except BaseException:
        _restore(path, before)
        terminal.note(f"{FILE} was {'left as it was' if before is not None else 'not written'}")
        raise
    terminal.result({"file": path, "machine": name, "found": found}, _said(path, name, found))
    return 0


def _said(path: str, name: str, found: dict[str, Any] | None) -> str:
    lines = [f"wrote {FILE if os.path.dirname(path) == os.getcwd() else path}"]
    if found is not None:
        lines.append(f"{name}: {facts_line(found.get('facts') or {})}")
        lines.append(f"connected in {found.get('connect_ms', 0):.0f} ms, {found.get('latency_ms', 0):.1f} ms away")
    lines.append("next: afield up, then afield python SCRIPT")
    return "\n".join(lines)


def _name_of(place: str) -> str:
    host = re.sub(r"^[a-z+]+://", "", place).split("/", 1)[0].rsplit("@", 1)[-1]
    host = re.sub(r":[0-9]+$", "", host).strip("[]")
    return re.sub(r"[^A-Za-z0-9._-]", "-", host).strip("-._") or place.split(":", 1)[0]


def _append(path: str, name: str, before: str, machine: str) -> str:
    if name in load_project(os.path.dirname(path)).machines:
        raise ConfigError(
            f"{path} has a machine {name!r} already",
            hint="choose another --name, edit the file, or start over with --replace",
        )
    return write.append_machine(before, machine)


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def _write(path: str, text: str) -> None:
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(part, path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def _restore(path: str, before: str | None) -> None:
    if before is None:
        os.unlink(path)
    else:
        _write(path, before)
