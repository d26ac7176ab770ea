"""Open a file in the editor ($VISUAL, else $EDITOR, else vi), also one that is only there.

A file of the project that is here is opened as it is. One that is only there (left out of the sync, or outside of the project)
is fetched into a temporary copy and put back when the editor ends, if it was changed, and if nobody changed it there
meanwhile; else the copy stays and is named. An editor that returns at once needs its option to wait: VISUAL='code --wait'.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask, project_of, there_path
from afield.cli.parse import add_machine
from afield.cli.paths import project_path
from afield.errors import AfieldError, BadPath, CommandNotFound

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    parser.add_argument("--there", action="store_true", help="the file there, even when there is one here")
    parser.add_argument("path", help="a file of the project, or any file there (/path or ~/path)")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Open; the exit status is the editor's."""
    folder = project_of(args)[0].folder
    path = args.path
    if not path.startswith("~"):
        try:
            path = project_path(args.path, folder)
        except BadPath:
            if not args.path.startswith("/"):
                raise
    here = os.path.join(folder, path)
    if not args.there and not path.startswith("~") and os.path.lexists(here):
        return edit(here)
    return _edit_there(args, terminal, there_path(path))


def edit(path: str) -> int:
    """Run the editor on a local file and give its exit status. Raises CommandNotFound."""
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    try:
        return subprocess.run([*words, path], check=False).returncode
    except OSError as error:
        raise CommandNotFound(f"{words[0]} cannot be run: {error.strerror}", hint="set VISUAL to your editor") from None


def _edit_there(args: argparse.Namespace, terminal: Terminal, path: str) -> int:
    temporary = tempfile.mkdtemp(prefix="afield-open-")
    copy = os.path.join(temporary, os.path.basename(path) or "file")
    keep = False
    try:
        got = ask("get", args, terminal, path=path, to=copy)
        status = edit(copy)
        if _digest(copy) == got["digest"]:
            return status
        keep = True
        fields: dict[str, Any] = {"path": path, "from": copy, "was": [got["size"], got["mtime_ns"]]}
        ask("put", args, terminal, **fields)
        keep = False
        terminal.note(f"{path} was put back there")
        return status
    except AfieldError as error:
        if keep:
            error.hint = f"your version is {copy}; look at both, then: afield put {copy} {path}"
        raise
    finally:
        if not keep:
            shutil.rmtree(temporary, ignore_errors=True)


def _digest(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
