"""The door of the command line: finds the verb, runs it, turns errors into messages and exact exit statuses.

Rules: nothing is imported that the verb does not need (start-up is part of every command); data goes to stdout, all else to
stderr. What must not go in: what any verb does.
"""

from __future__ import annotations

import os
import sys

from afield import __version__
from afield.cli.verbs import BY_NAME, overview

TYPE_CHECKING = False  # importing typing would cost more than all the rest of --help
if TYPE_CHECKING:
    from collections.abc import Callable

_BROKEN_PIPE = 141  # 128 + SIGPIPE, what a shell reports for a program that a closed pipe ended
_RUNS = ("python", "run", "shell", "shim-run")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status; never raises for what a user or a place did."""
    words = sys.argv[1:] if argv is None else argv
    _open_missing()
    if (
        sys.stdout.errors == "strict"
    ):  # of another terminal's encoding than UTF-8: what it lacks is written out, not refused
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if "_ARGCOMPLETE" in os.environ:
        from afield.cli.completing import complete

        complete()
    try:
        status = _dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output went away: end quietly.
        _drop_output()
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # behind the ^C, so that the next prompt has a line of its own
        return 130
    except OSError as error:
        # What a verb foresees is an AfieldError; what is left is our own output (a full disk, a closed descriptor).
        _drop_output()
        if _is_folder_gone():
            return _usage("the working folder does not exist any more\nhint: go to a folder that does: cd")
        return _fail(f"the output cannot be written: {error.strerror}" if error.filename is None else str(error))
    if argv is None and words[:1] and words[0] in _RUNS:
        sys.stderr.flush()
        os._exit(status)  # taking the interpreter down costs every run 4 ms, and nothing is left to do
    return status


def _open_missing() -> None:
    """Open what the caller closed of 0, 1 and 2, or the first file that is opened would be taken for it."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            try:
                os.fstat(fd)
            except OSError:
                os.open(os.devnull, os.O_WRONLY if fd else os.O_RDONLY)
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 as long as the process


def _is_folder_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _drop_output() -> None:
    """Keep the interpreter from writing to stdout again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _dispatch(words: list[str]) -> int:
    while words[:1] == ["-C"] and len(words) > 1:
        try:
            os.chdir(words[1])
        except OSError as error:
            return _usage(f"-C {words[1]}: {error.strerror}")
        words = words[2:]
    if words[:1] == ["-C"]:
        return _usage("-C needs a folder\nhint: afield -C FOLDER COMMAND")
    if not words or words[0] in ("-h", "--help", "help"):
        if words[:1] == ["help"] and len(words) > 1:
            return _dispatch([words[1], "--help"])
        sys.stdout.write(overview("afield", __version__) + "\n")
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"afield {__version__}\n")
        return 0
    if words[0] == "shim-run" and len(words) >= 4:
        from afield.cli.commands import runs

        return _guarded(lambda: runs.main_for_shim(words[1:]))
    verb = BY_NAME.get(words[0])
    if verb is None:
        return _unknown(words[0])
    if verb.module == "runs":
        from afield.cli.commands import runs

        return _guarded(lambda: runs.main(verb.name, words[1:]))
    from afield.cli.parse import run_verb

    return _guarded(lambda: run_verb(verb, words[1:]))


def _guarded(action: Callable[[], int]) -> int:
    from afield.errors import AfieldError

    try:
        return action()
    except AfieldError as error:
        from afield.cli.terminal import report

        report(error)
        return error.exit


def _usage(text: str) -> int:
    _fail(text)
    return 2


def _fail(text: str) -> int:
    from afield.cli.terminal import printable

    sys.stderr.write(f"afield: {printable(text)}\n")
    return 1


def _unknown(word: str) -> int:
    import difflib

    near = difflib.get_close_matches(word, list(BY_NAME), n=1)
    hint = f"did you mean: afield {near[0]}" if near else "all commands: afield --help"
    return _usage(f"no command {word!r}\nhint: {hint}")


if __name__ == "__main__":
    sys.exit(main())
