"""Every Python 3 of this machine that can be a place's Python, oldest first: from PATH, from pyenv, from the system."""

import functools
import os
import shutil
import subprocess

OLDEST, NEWEST = 6, 14  # minors of Python 3 that an agent meets; the oldest is the promise of the manual


def _candidates():
    for minor in range(OLDEST, NEWEST + 1):
        found = shutil.which(f"python3.{minor}")
        if found:
            yield found
    versions = os.path.join(os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv")), "versions")
    with_folder = sorted(os.listdir(versions)) if os.path.isdir(versions) else []
    yield from (os.path.join(versions, name, "bin", "python") for name in with_folder if name.startswith("3."))
    yield from ("/usr/bin/python3", "python3")


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
