"""Does one thing for several machines of a project, one after the other: one that fails does not stop the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.config.load import Project, load_project
from afield.errors import AfieldError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from afield.cli.terminal import Terminal


def add_several(parser: argparse.ArgumentParser) -> None:
    """Add ``--on`` and ``--all`` for verbs that work on one machine or on many."""
    from afield.cli.parse import complete_machines

    option = parser.add_argument(
        "--on", metavar="NAME", action="append", default=[], help="this machine, too; may be given several times"
    )
    option.completer = complete_machines  # type: ignore[attr-defined]  # argcomplete reads this attribute
    parser.add_argument("--all", action="store_true", help="all machines of afield.toml")


def chosen(args: argparse.Namespace, project: Project) -> list[str]:
    """Give the names of the machines that were asked for. Raises UsageError, ConfigError."""
    names = [*([args.machine] if args.machine else []), *args.on]
    if args.all and names:
        raise UsageError("--all stands alone: it names every machine")
    return [machine.name for machine in project.chosen(names, every=args.all)]


def for_each(
    args: argparse.Namespace,
    terminal: Terminal,
    do: Callable[[Project, str], dict[str, Any]],
    *,
    text: Callable[[Project, str, dict[str, Any]], str],
    status: Callable[[dict[str, Any]], int] = lambda _: 0,
) -> int:
    """Do it for each chosen machine and print what was done; gives the worst exit status.

    Of one machine the result is printed as it is and its error raised; of several ``{"machines": {NAME: …}}``.
    """
    project = load_project()
    names = chosen(args, project)
    if len(names) == 1:
        done = do(project, names[0])
        terminal.result(done, text(project, names[0], done))
        return status(done)
    results: dict[str, Any] = {}
    lines = []
    worst = 0
    for name in names:
        try:
            results[name] = done = do(project, name)
            worst = max(worst, status(done))
            lines.append(text(project, name, done))
        except AfieldError as error:
            terminal.end_progress()
            results[name] = {"error": error.to_value()}
            worst = max(worst, error.exit)
            lines.append(f"{name}: {error.text}" + (f"\nhint: {error.hint}" if error.hint else ""))
    terminal.result({"machines": results}, "\n".join(lines))
    return worst
