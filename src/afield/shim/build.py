"""The C client: the one that came with the wheel, or one compiled here on first use.

Rules: a client is used only when its SHA-256 is the one that stands beside it; it is compiled into the user's cache folder, named by
the hash of its sources, and put there by a rename, so that two at once cannot harm each other. Without a compiler there is no C
client, and that is no error: client.py does the same. Standard library only, and nothing of afield: the build of the wheel
loads this file by its path. What must not go in: what is done with the client (install.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = ("client.c", "relay.c", "ends.c")
HEADERS = ("client.h",)
# Static first: it starts half a millisecond sooner and does not care which C library the machine has. Where there is no static C
# library (macOS, musl-less minimal systems) the shared one does.
_FLAGS = (("-static", "-s"), ("-s",), ())
_SECONDS = 60  # a compile takes under two; more means that the compiler asks or hangs


def digest(data: bytes) -> str:
    """Give the SHA-256 of data in hex."""
    return hashlib.sha256(data).hexdigest()


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def sources_digest(folder: str = HERE) -> str:
    """Give the hash that names a compiled client: of all its sources, in order."""
    return digest(b"\0".join(_read(os.path.join(folder, name)) for name in SOURCES + HEADERS))


def compiler() -> str | None:
    """Give the path of the C compiler: the usual ``CC``, else ``cc``, ``gcc`` or ``clang``; None without one."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return found
    return None


def compile_client(target: str, *, folder: str = HERE) -> bool:
    """Compile the client to target, with ``target.sha256`` beside it; returns whether that worked. Never raises for a compiler's failure."""
    cc = compiler()
    if cc is None:
        return False
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target), prefix="compile-") as work:
        made = os.path.join(work, "client")
        sources = [os.path.join(folder, name) for name in SOURCES]
        if not any(_works([cc, "-std=c99", "-O2", *flags, "-o", made, *sources], made) for flags in _FLAGS):
            return False
        os.chmod(made, 0o755)  # noqa: S103 - a program for everybody who may enter its folder
        with open(made + ".sha256", "w", encoding="ascii") as file:
            file.write(digest(_read(made)) + "\n")
        os.replace(made + ".sha256", target + ".sha256")
        os.replace(made, target)
    return True


def _works(command: list[str], made: str) -> bool:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
        if done.returncode != 0:
            return False
        # Outside a project it has one thing to say; that it says so proves that it runs here.
        tried = subprocess.run([made], stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 255 and tried.stderr.startswith(b"afield: ")


def verified(path: str) -> bool:
    """Does the client at path have the hash that stands beside it?"""
    try:
        return digest(_read(path)) == _read(path + ".sha256").decode("ascii", "replace").strip()
    except OSError:
        return False


def cache_folder() -> str:
    """Give the folder for compiled clients (XDG base directory specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "afield", "shim")


def c_client() -> str | None:
    """Give the path of a verified C client for this machine, compiled now when there is none; None when it cannot be had."""
    shipped = os.path.join(HERE, "client")
    if verified(shipped):
        return shipped
    name = f"{sources_digest()[:32]}-{sysconfig.get_platform()}"
    cached = os.path.join(cache_folder(), name, "client")
    if verified(cached):
        return cached
    with contextlib.suppress(OSError):
        if compile_client(cached) and verified(cached):
            return cached
    return None


if __name__ == "__main__":
    sys.exit(0 if compile_client(os.path.abspath(sys.argv[1])) else 1)
