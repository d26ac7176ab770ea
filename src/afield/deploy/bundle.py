"""The portable sources in one piece, named by what they are.

Payload: ``AFB1``, an index of ``module length`` lines with the boot module first, an empty line, the sources (see bare.py). It is
deflated for the way, behind four bytes with the size of that (little endian); the SHA-256 is that of the payload, so that two
builds of zlib give the same name. No dates, sorted names: one release is one bundle. Nothing is executed here.

Every dial passes here before ssh starts, so nothing slow is imported, and nothing is deflated unless a place asks for it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import zlib

from afield import errors
from afield.deploy.bare import bare
from afield.errors import InternalError

BOOT = "afield.agent.boot"
PORTABLE_MODULES = ("__init__", "errorbase", "errors")
PORTABLE_PACKAGES = ("agent", "envs", "files", "tree", "wire")

# What a first contact may send, from the project's own targets: about a second on a 1.6 Mbit/s line.
LARGEST = 200_000


class Bundle:
    """``data`` is what crosses the stream; ``sha256`` (hex) names its content; ``modules`` in their order."""

    def __init__(self, payload: bytes, modules: tuple[str, ...]) -> None:
        self._payload = payload
        self.sha256 = hashlib.sha256(payload).hexdigest()
        self.modules = modules

    @functools.cached_property
    def data(self) -> bytes:
        """Deflate; about 40 ms. Raises InternalError when it grew beyond LARGEST."""
        packed = zlib.compress(self._payload, 9)
        if len(packed) > LARGEST:
            raise InternalError(f"expected a bundle of at most {LARGEST} bytes, got {len(packed)}")
        return len(packed).to_bytes(4, "little") + packed


@functools.lru_cache(maxsize=1)
def build() -> Bundle:
    """Make the bundle of the installed package; done once per process. Raises OSError when a source cannot be read."""
    return pack(portable_sources())


def portable_sources() -> dict[str, bytes]:
    """Give module name → source of everything that travels, as it stands in the package."""
    root = os.path.dirname(errors.__file__)
    found = {_module(name): _read(root, f"{name}.py") for name in PORTABLE_MODULES}
    for package in PORTABLE_PACKAGES:
        folder = os.path.join(root, package)
        for name in os.listdir(folder):
            if name.endswith(".py"):
                found[_module(package, name.removesuffix(".py"))] = _read(folder, name)
    return found


def _read(folder: str, name: str) -> bytes:
    with open(os.path.join(folder, name), "rb", 0) as file:
        return file.read()


def _module(*parts: str) -> str:
    return ".".join(["afield", *(part for part in parts if part != "__init__")])


def pack(sources: dict[str, bytes]) -> Bundle:
    """Make a bundle of these modules without their texts (bare.py); the boot module must be among them."""
    sources = {name: bare(source) for name, source in sources.items()}
    names = (BOOT, *sorted(name for name in sources if name != BOOT))
    index = "".join(f"\n{name} {len(sources[name])}" for name in names)
    payload = b"AFB1" + index.encode("ascii") + b"\n\n" + b"".join(sources[name] for name in names)
    return Bundle(payload, names)
