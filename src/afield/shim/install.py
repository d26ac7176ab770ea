"""Puts `python`, `python3`, `python3.X`, `pip` and `pip3` into a project's ``.afield/bin`` and takes them away again.

The folder looks like a virtual environment (PEP 405), so that tools find it and ask nothing: ``pyvenv.cfg``, and in ``base/bin`` the
names of the interpreter that environments are made on. No ``activate``: its PATH and HOME would be those of the far machine.
Rules: what a user may be running is replaced by a rename, never written over; what lies there is checked by SHA-256 before and
after; nothing is touched when all is as it should be. What must not go in: how a client works, where the daemon is.
"""

from __future__ import annotations

import contextlib
import os
import py_compile
import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

from afield.errors import ConfigError, FileFailed
from afield.shim import build

if TYPE_CHECKING:
    from collections.abc import Sequence

_PARTS = ("ask.py", "client.py", "ends.py", "start.py")
_CONF_LIMIT = 16000  # the clients read 16 KiB
_WORDS_LIMIT = 50  # the C client has room for 55; a command line of afield has five
_SHEBANG_LIMIT = 127  # what Linux took before 5.1, and what macOS is sure to take
# The body of the script: finds its folder through links, as the C client does, and runs the copy of the client beside it.
_SCRIPT = """\
import posix, sys
path = sys.argv[0]
try:
    while True:
        link = posix.readlink(path)
        path = link if link[0] == "/" else path.rpartition("/")[0] + "/" + link
except OSError:
    pass
sys.path.insert(0, path.rpartition("/")[0] + "/../shim")
from afield_shim.start import main
main()
"""


class Far(NamedTuple):
    """The environment there: ``version`` such as 3.12.4, ``prompt`` its name for people, ``stamp`` changes when it changes."""

    version: str
    prompt: str
    stamp: str


def install(
    project: str,
    socket_path: str,
    machine: str,
    *,
    python_versions: Sequence[str] = (),
    cli_argv: Sequence[str] = (),
    client: str = "best",
    far: Far | None = None,
) -> str:
    """Make the project's shims and ``shim.conf``; returns the kind that was used, ``c`` or ``python``.

    far is the environment there, as far as it is known; what was known of it stays when it is None. python_versions are further those of the environment there (``"3.12"``: a `python3.12` is made); cli_argv is the command line that a
    shim becomes when the daemon is not ready; client is ``best``, ``c`` or ``python``. Raises ConfigError for a value that
    shim.conf cannot hold, FileFailed when the files cannot be made.
    """
    old_conf = _read_conf(project)
    stamp = far.stamp if far else old_conf.get("stamp", "")
    short = ".".join(far.version.split(".")[:2]) if far else old_conf.get("short", "")
    names = _names([*python_versions, *([short] if short else [])])
    conf = _conf(socket_path, machine, cli_argv, names, stamp, short)
    binary = None if client == "python" else build.c_client()
    if client == "c" and binary is None:
        raise FileFailed(
            "there is no C client for this machine and it could not be compiled", hint="install a C compiler (cc)"
        )
    folder = os.path.join(project, ".afield")
    try:
        os.makedirs(os.path.join(folder, "bin"), exist_ok=True)
        old = _installed(project)
        _write(os.path.join(folder, "shim.conf"), conf, 0o600)
        if binary is None:
            _install_package(os.path.join(folder, "shim"))
        _install_names(os.path.join(folder, "bin"), names, _read(binary) if binary else _script())
        for name in set(old) - set(names):
            _remove(os.path.join(folder, "bin", name))
        _install_base(folder, names)
        close_lib(project)
        if far is not None:
            _write(os.path.join(folder, "pyvenv.cfg"), _pyvenv(folder, far), 0o644)
        if stamp != old_conf.get("stamp", ""):
            # uv, virtualenv and PET keep what an interpreter told them by its path and time.
            os.utime(os.path.join(folder, "bin", "python"))
    except OSError as error:
        raise FileFailed(f"cannot make the shims in {folder}: {error.strerror}", path=folder) from error
    return "c" if binary else "python"


def uninstall(project: str) -> None:
    """Remove what `install` made, and nothing else. Raises FileFailed."""
    folder = os.path.join(project, ".afield")
    try:
        for name in _installed(project):
            _remove(os.path.join(folder, "bin", name))
            _remove(os.path.join(folder, "base", "bin", name))
        _remove(os.path.join(folder, "shim.conf"))
        _remove(os.path.join(folder, "pyvenv.cfg"))
        shutil.rmtree(os.path.join(folder, "shim"), ignore_errors=True)
        for empty in ("bin", "base/bin", "base", "lib"):
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(folder, empty))
        lib64 = os.path.join(folder, "lib64")
        if os.path.islink(lib64) and not os.path.exists(lib64):
            _remove(lib64)
    except OSError as error:
        raise FileFailed(f"cannot remove the shims in {folder}: {error.strerror}", path=folder) from error


def close_lib(project: str) -> None:
    """Make what a mirror fills, empty and closed: `uv pip install`, which writes here and not there, has to fail and say so. Raises OSError."""
    folder = os.path.join(project, ".afield")
    with contextlib.suppress(FileExistsError):
        os.mkdir(os.path.join(folder, "lib"), 0o555)
    with contextlib.suppress(FileExistsError):
        os.symlink("lib", os.path.join(folder, "lib64"))


def _names(python_versions: Sequence[str]) -> list[str]:
    return [
        "python",
        "python3",
        *dict.fromkeys(f"python{version}" for version in python_versions if version != "3"),
        "pip",
        "pip3",
    ]


def _conf(
    socket_path: str, machine: str, cli_argv: Sequence[str], names: Sequence[str], stamp: str, short: str
) -> bytes:
    for value in (socket_path, machine, stamp, short, *cli_argv, *names):
        if any(char in value for char in "\n\t\0"):
            raise ConfigError(f"a path without tab or newline was expected, got {value!r}", hint="move or rename it")
    if len(cli_argv) > _WORDS_LIMIT:
        raise ConfigError(f"the fallback command has {len(cli_argv)} words, at most {_WORDS_LIMIT} are read")
    lines = [
        f"socket={socket_path}",
        f"machine={machine}",
        "fallback=" + "\t".join(cli_argv),
        "names=" + "\t".join(names),
        f"stamp={stamp}",
        f"short={short}",
    ]
    data = os.fsencode("\n".join(lines) + "\n")
    if len(data) > _CONF_LIMIT:
        raise ConfigError(
            f"shim.conf would have {len(data)} bytes, at most {_CONF_LIMIT} are read", hint="use shorter paths"
        )
    return data


def _read_conf(project: str) -> dict[str, str]:
    with contextlib.suppress(OSError):
        text = os.fsdecode(_read(os.path.join(project, ".afield", "shim.conf")))
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {}


def installed_machine(project: str) -> str | None:
    """Give the machine that a project's shims run on, empty for the default one; None when it has no shims."""
    return _read_conf(project).get("machine")


def _installed(project: str) -> list[str]:
    return [name for name in _read_conf(project).get("names", "").split("\t") if name and "/" not in name]


def _pyvenv(folder: str, far: Far) -> bytes:
    # No `uv` key: editors would install with `uv pip`, which writes into the files here.
    lines = [f"home = {folder}/base/bin", "include-system-site-packages = false", f"version = {far.version}"]
    prompt = "".join(char for char in far.prompt if char.isprintable())
    return os.fsencode("\n".join([*lines, f"prompt = {prompt}"]) + "\n")


def _install_base(folder: str, names: Sequence[str]) -> None:
    """Make ``base/bin``: what virtual environments are made on is a link that leads to the shim."""
    base = os.path.join(folder, "base", "bin")
    os.makedirs(base, exist_ok=True)
    wanted = [name for name in names if name.startswith("python")]
    for name in os.listdir(base):
        if name.startswith("python") and name not in wanted and os.path.islink(os.path.join(base, name)):
            _remove(os.path.join(base, name))
    for name in wanted:
        path, target = os.path.join(base, name), f"../../bin/{name}"
        if os.path.islink(path) and os.readlink(path) == target:
            continue
        part = f"{path}.{os.getpid()}.part"
        os.symlink(target, part)
        try:
            os.replace(part, path)
        finally:
            _remove(part)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _write(path: str, data: bytes, mode: int) -> None:
    """Make path have data, by a rename; nothing when it has."""
    with contextlib.suppress(OSError):
        if (
            not os.path.islink(path)
            and os.stat(path).st_mode & 0o777 == mode
            and build.digest(_read(path)) == build.digest(data)
        ):
            return
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        if build.digest(_read(part)) != build.digest(data):
            raise FileFailed(f"{path} does not hold what was written to it", hint="check the disk", path=path)
        os.replace(part, path)
    finally:
        _remove(part)


def _install_names(folder: str, names: Sequence[str], data: bytes) -> None:
    first = os.path.join(folder, names[0])
    _write(first, data, 0o755)
    for name in names[1:]:
        path = os.path.join(folder, name)
        if os.path.exists(path) and os.path.samefile(path, first):
            continue
        part = f"{path}.{os.getpid()}.part"
        try:
            os.link(first, part)
            os.replace(part, path)
        except OSError:
            _write(path, data, 0o755)  # a file system without hard links
        finally:
            _remove(part)


def _script() -> bytes:
    # The interpreter itself, not the one of a virtual environment, which may be gone tomorrow.
    python = os.path.realpath(sys.executable)
    line = f"#!{python} -IS\n"
    if len(line) > _SHEBANG_LIMIT or any(char.isspace() for char in python):
        # sh reads a command that does nothing and an exec; Python reads a string.
        quoted = python.replace("'", "'\\''")
        line = f"#!/bin/sh\n''':'\nexec '{quoted}' -IS \"$0\" \"$@\"\n'''\n"
    return os.fsencode(line + _SCRIPT)


def _install_package(folder: str) -> None:
    package = os.path.join(folder, "afield_shim")
    os.makedirs(package, exist_ok=True)
    for name in ("__init__.py", *_PARTS):
        path = os.path.join(package, name)
        _write(path, _read(os.path.join(build.HERE, name)) if name != "__init__.py" else b"", 0o644)
        # Compiled now and not checked again: a compile at the first start would cost more than the whole start.
        py_compile.compile(path, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
