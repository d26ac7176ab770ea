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
    again: Callable[[dict[str, Any]], bool] | None = None,
    add: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]] = lambda _, new: new,
) -> int:
    """Do it for each chosen machine and print what was done; gives the worst exit status.

    Of one machine the result is printed as it is and its error raised; of several ``{"machines": {NAME: …}}``. ``again``
    (of several): whether what was done on one machine may be work for the others. All are then done twice, because the live sync
    may bring something here that no result tells of, and on until nothing is, at most once more than there are machines.
    ``add`` makes one result of two of a machine.
    """
    project = load_project()
    names = chosen(args, project)
    if len(names) == 1:
        done = do(project, names[0])
        terminal.result(done, text(project, names[0], done))
        return status(done)
    results: dict[str, dict[str, Any]] = {}
    failed: dict[str, AfieldError] = {}
    for times in range(len(names) + 1):
        more = again is not None and times == 0
        for name in names:
            if name in failed:
                continue
            try:
                done = do(project, name)
                results[name] = add(results[name], done) if name in results else done
                more = more or (again is not None and again(done))
            except AfieldError as error:
                terminal.end_progress()
                failed[name] = error
        if not more:
            break
    lines = [_failure(name, failed[name]) if name in failed else text(project, name, results[name]) for name in names]
    told = {name: {"error": failed[name].to_value()} if name in failed else results[name] for name in names}
    terminal.result({"machines": told}, "\n".join(lines))
    return max(failed[name].exit if name in failed else status(results[name]) for name in names)


def _failure(name: str, error: AfieldError) -> str:
    return f"{name}: {error.text}" + (f"\nhint: {error.hint}" if error.hint else "")
