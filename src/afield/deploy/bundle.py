"""The portable sources in one piece, named by what they are.

Payload: ``AFB1``, an index of ``module length`` lines with the boot module first, an empty line, the sources unchanged. It is
deflated for the way; the SHA-256 is that of the payload, so that two builds of zlib give the same name. No dates, sorted
names: one release is one bundle. Nothing is executed here.
"""

from __future__ import annotations

import functools
import hashlib
import zlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from afield.errors import InternalError

BOOT = "afield.agent.boot"
PORTABLE_MODULES = ("__init__", "errors")
PORTABLE_PACKAGES = ("agent", "files", "tree", "wire")

# What a first contact may send, from the project's own targets: about a second on a 1.6 Mbit/s line.
LARGEST = 200_000


@dataclass(frozen=True, slots=True)
class Bundle:
    """``data`` is what crosses the stream; ``sha256`` (hex) names its inflated content."""

    data: bytes
    sha256: str
    modules: tuple[str, ...]


@functools.lru_cache(maxsize=1)
def build() -> Bundle:
    """Make the bundle of the installed package; done once per process. Raises InternalError when it grew beyond LARGEST."""
    return pack(portable_sources())


def portable_sources() -> dict[str, bytes]:
    """Give module name → source of everything that travels."""
    root = files("afield")
    found = {_module(name): root.joinpath(f"{name}.py").read_bytes() for name in PORTABLE_MODULES}
    for package in PORTABLE_PACKAGES:
        for entry in root.joinpath(package).iterdir():
            if entry.name.endswith(".py"):
                found[_module(package, entry)] = entry.read_bytes()
    return found


def _module(name: str, entry: Traversable | None = None) -> str:
    parts = ["afield", name] if entry is None else ["afield", name, entry.name.removesuffix(".py")]
    return ".".join(part for part in parts if part != "__init__")


def pack(sources: dict[str, bytes]) -> Bundle:
    """Make a bundle of these modules; the boot module must be among them."""
    names = [BOOT, *sorted(name for name in sources if name != BOOT)]
    index = "".join(f"\n{name} {len(sources[name])}" for name in names)
    payload = b"AFB1" + index.encode("ascii") + b"\n\n" + b"".join(sources[name] for name in names)
    data = zlib.compress(payload, 9)
    if len(data) > LARGEST:
        raise InternalError(f"expected a bundle of at most {LARGEST} bytes, got {len(data)}")
    return Bundle(data, hashlib.sha256(payload).hexdigest(), tuple(names))
