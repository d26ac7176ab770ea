"""The first module of the bundle that runs: makes the others importable from memory, and starts the agent  [P].

The starter hands over either marshalled code (from its verified cache) or the sources; both are maps from module name to bytes,
compiled or unmarshalled only when a module is imported. Rules: no import of afield at the top (there is nothing to import from
yet); nothing is unmarshalled that the starter did not read from a private file of this user.
"""

# ruff: noqa: ARG002, S102, S302  the loader's interface (PEP 451), and its business: see the rules above

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Dict, Optional, Sequence

# A code file of another release that nobody used for so long goes.
OLD = 14 * 86400.0


class Memory:
    """Finds and loads modules that are held as bytes (PEP 451); packages are the names that others lie below."""

    def __init__(self, modules: "Dict[str, bytes]", *, marshalled: "bool") -> "None":
        self.modules = modules
        self.marshalled = marshalled
        self.packages = {name.rpartition(".")[0] for name in modules}

    def find_spec(self, name: "str", path: "Optional[Sequence[str]]" = None, target: "Any" = None) -> "Any":
        """Give the specification of a module that is held, None for all others (PEP 451)."""
        if name not in self.modules:
            return None
        # ModuleSpec: importing importlib.machinery for it costs 3 ms
        kind: "Any" = type(sys.__spec__)
        spec = kind(name, self, origin=file_name(name), is_package=name in self.packages)
        spec.has_location = False
        return spec

    def create_module(self, spec: "Any") -> "None":
        """Let the system make the module."""
        return None

    def exec_module(self, module: "ModuleType") -> "None":
        """Run the module's code."""
        exec(self.code(module.__name__), module.__dict__)

    def code(self, name: "str") -> "Any":
        """Give the code object of a module."""
        data = self.modules[name]
        return marshal.loads(data) if self.marshalled else compile(data, file_name(name), "exec", dont_inherit=True)


def file_name(name: "str") -> "str":
    """Give the name that tracebacks show."""
    return "<agent>/%s.py" % name.replace(".", "/")


def parse(payload: "bytes") -> "Dict[str, bytes]":
    """Read the bundle's payload: an index of ``name length`` lines, an empty line, then the sources one after the other."""
    index, _, _ = payload.partition(b"\n\n")
    at = len(index) + 2
    modules = {}
    for line in index.decode("ascii").split("\n")[1:]:
        name, _, length = line.partition(" ")
        modules[name] = payload[at : at + int(length)]
        at += int(length)
    return modules


def run(modules: "Dict[str, bytes]", info: "Dict[str, Any]", code_file: "str", marshalled: "bool") -> "None":
    """Start the agent on 0 and 1; never returns.

    code_file: where marshalled code may be kept for the next start, "" for nowhere.
    """
    memory = Memory(modules, marshalled=marshalled)
    sys.meta_path.insert(0, memory)
    # The starter's own copy of what it read would stay as long as the agent does: half a megabyte in each of its processes.
    for name in ("data", "payload"):
        sys.modules["__main__"].__dict__.pop(name, None)
    if code_file:
        info["later"] = lambda: refresh(memory, code_file)
    from afield.agent.main import start

    start(0, 1, info)


def refresh(memory: "Memory", code_file: "str") -> "None":
    """Keep the code cache fresh: write ours when it is missing, remove those of old releases. Never raises."""
    try:
        if not memory.marshalled:
            write_code(memory, code_file)
        else:
            os.utime(code_file)
        sweep(os.path.dirname(code_file))
    except Exception as error:
        os.write(2, ("afield agent: code cache: %s\n" % error).encode("utf-8", "replace"))


def write_code(memory: "Memory", code_file: "str") -> "None":
    """Compile everything and write it for the starter: a magic, a CRC-32, the marshalled map. Raises OSError."""
    from zlib import crc32

    data = marshal.dumps({name: marshal.dumps(memory.code(name)) for name in sorted(memory.modules)})
    # The CRC finds a file that a crash cut short; who could write it on purpose could do anything as this user.
    data = b"AFC1" + (crc32(data) & 0xFFFFFFFF).to_bytes(4, "little") + data
    temporary = "%s.%d.tmp" % (code_file, os.getpid())
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        try:
            while data:
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)
        os.rename(temporary, code_file)
    except OSError:
        os.unlink(temporary)
        raise


def sweep(folder: "str") -> "None":
    """Remove bundles, code and leftovers that nobody used for OLD seconds. Raises OSError."""
    from time import time

    for name in os.listdir(folder):
        if name.endswith((".bundle", ".code", ".tmp")):
            path = os.path.join(folder, name)
            age = time() - os.lstat(path).st_mtime
            if age > OLD or (name.endswith(".tmp") and age > 3600):
                os.unlink(path)
