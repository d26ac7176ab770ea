"""How a verb asks the daemon: the project of the working folder, the machine named, events to the terminal."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

    from afield.cli.terminal import Terminal
    from afield.config.load import Project

    Want = Callable[[int, int], bytes]


# Asked twice these give and do what they do when asked once.
REPEATABLE = frozenset(("connect", "up", "facts", "ls", "processes", "conflicts", "history"))


def project_of(args: argparse.Namespace) -> tuple[Project, str]:
    """Load the project of the working folder and the name of the machine in use. Raises NoProject, ConfigError."""
    from afield.config.load import load_project

    project = load_project()
    return project, project.machine(getattr(args, "machine", None)).name


def root_of(args: argparse.Namespace) -> str:
    """Give the folder that paths are below: the project's own, or the one named by ``--folder``. Raises as ``project_of``."""
    project, machine = project_of(args)
    name = getattr(args, "folder", None)
    if not name:
        return project.folder
    return os.path.realpath(project.machine(machine).further(name).here)


def ask(verb: str, args: argparse.Namespace, terminal: Terminal, *, want: Want | None = None, **fields: Any) -> Any:
    """Ask the daemon about this project and machine; starts the daemon by need. Raises AfieldError."""
    project, machine = project_of(args)
    dial = (project.folder, machine)
    if getattr(args, "folder", None):
        fields["folder"] = args.folder
    return ask_plain(verb, terminal, dial=dial, want=want, project=project.folder, machine=machine, **fields)


def ask_plain(
    verb: str,
    terminal: Terminal,
    *,
    start: bool = True,
    dial: tuple[str, str | None] | None = None,
    want: Want | None = None,
    **fields: Any,
) -> Any:
    """Ask the daemon anything; None values are left out. Raises AfieldError, DaemonError without a daemon when not start."""
    from afield.cli.faces import Faces
    from afield.control.client import GoneError, connect

    tries = 2 if start and verb in REPEATABLE else 1
    while True:
        tries -= 1
        with connect(start=start, dial=dial) as client:
            try:
                return client.request(verb, fields, events=Faces(terminal, want))
            except GoneError:
                # Killed in the middle: another one is started, once.
                if not tries:
                    raise
            finally:
                terminal.end_progress()


def there_path(text: str) -> str:
    """Give the text of a path there as the daemon takes it: a trailing slash has no meaning of its own."""
    return text.rstrip("/") or ("/" if text.startswith("/") else "")


def here_path(text: str) -> str:
    """Give an absolute local path."""
    return os.path.abspath(os.path.expanduser(text))
