"""Every Python 3 of this machine that can be a place's Python, oldest first: from PATH, from pyenv, from the system."""

import functools
import os
import shutil
import subprocess

OLDEST, NEWEST = 6, 14  # minors of Python 3 that an agent meets; the oldest is the promise of the manual


def _candidates():
    for minor in range(OLDEST, NEWEST + 1):
        found = shutil.which(f"python3.{minor}", path=_outside_environments())
        if found:
            yield found
    names = (os.path.join(folder, "bin", "python") for folder in _folders())
    yield from (name for name in names if os.path.basename(os.path.dirname(os.path.dirname(name))).startswith("3."))
    yield from ("/usr/bin/python3", "python3")


def _outside_environments():
    """PATH without virtual environments: whoever has activated one means the interpreter below it."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not os.path.exists(os.path.join(folder, "../pyvenv.cfg")))


def _folders():
    """The installed versions of pyenv, whoever's home we have; its shims on PATH need not start any."""
    versions = os.path.join(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv")), "versions")
    return [os.path.join(versions, name) for name in sorted(os.listdir(versions))] if os.path.isdir(versions) else []


@functools.cache
def python2():
    """Path of a Python 2 that starts, or None."""
    names = [os.path.join(folder, "bin", "python2") for folder in _folders()]
    for path in [*names, shutil.which("python2"), shutil.which("python2.7")]:
        if path and os.access(path, os.X_OK):
            done = subprocess.run([path, "-c", "pass"], capture_output=True, timeout=20, check=False)
            if done.returncode == 0:
                return path
    return None


@functools.cache
def found():
    """{minor: real path} of the Pythons that start, oldest first; one each."""
    known = {}
    for path in _candidates():
        code = "import sys; print(sys.version_info[1]); print(sys.executable)"
        try:
            done = subprocess.run(
                [path, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=20, check=True
            )
        except (OSError, subprocess.SubprocessError):
            continue
        minor, real = done.stdout.splitlines()
        if OLDEST <= int(minor) <= NEWEST:
            known.setdefault(int(minor), real)
    return dict(sorted(known.items()))
