"""Asks an interpreter where its modules are: ``sys.path``, its own folders, what editable installs map  [P].

One start of it, about 20 ms: ``.pth`` files, ``pyvenv.cfg``, distribution patches and user sites all have their say, and none of it
has to be done again here. Nothing of the answer is trusted to be more than paths.
"""

import os

from afield.errors import EnvBroken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

# A start from a cold network disk; what takes longer hangs.
SECONDS = 30.0
# Paths of a few hundred editable installs are some 50 KB.
LARGEST = 4 << 20
_MARK = "afield-paths:"
# Runs under any Python 3. Finders of editable installs (setuptools) keep their map in their module.
_PROGRAM = """
import sys, sysconfig, json
paths = sysconfig.get_paths()
maps = []
for finder in sys.meta_path:
    module = sys.modules.get(getattr(finder, "__module__", ""))
    table = getattr(module, "MAPPING", None)
    if isinstance(table, dict):
        maps += [path for path in table.values() if isinstance(path, str)]
print("afield-paths:" + json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3], "prefix": sys.prefix, "base": getattr(sys, "base_prefix", sys.prefix),
    "site": paths["purelib"], "platform": paths["platlib"], "stdlib": paths["stdlib"],
    "path": [path for path in sys.path if isinstance(path, str)], "maps": maps}))
"""
_TEXTS = ("version", "prefix", "base", "site", "platform", "stdlib")


def folders_of(python: "bytes") -> "Dict[str, Any]":
    """Give version (text), prefix, base, site, platform, stdlib (paths) and path, maps (lists of paths). Raises EnvBroken."""
    import subprocess  # never in the agent itself: this runs in its child

    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [os.fsdecode(python), "-E", "-B", "-c", _PROGRAM]
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", env=env
        )
    except OSError as error:
        raise EnvBroken("%s cannot be started there: %s" % (words[0], error.strerror))
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise EnvBroken("%s did not say within %.0f s where its modules are" % (words[0], SECONDS))
    last = err.decode("utf-8", "replace").strip().split("\n")[-1]
    return read(out, last or "exit status %d" % process.returncode)


def read(out: "bytes", failure: "str") -> "Dict[str, Any]":
    """Read what the program above printed, between whatever else came. Raises EnvBroken."""
    import json

    text = out[-LARGEST:].decode("utf-8", "replace")
    line = next((line for line in reversed(text.split("\n")) if line.startswith(_MARK)), None)
    try:
        value = json.loads(line[len(_MARK) :]) if line is not None else None
    except ValueError:
        value = None
    if not isinstance(value, dict) or not all(isinstance(value.get(name), str) for name in _TEXTS):
        raise EnvBroken("the interpreter there did not say where its modules are: %s" % failure[:500])
    found: "Dict[str, Any]" = {name: _path(value[name]) for name in _TEXTS if name != "version"}
    found["version"] = value["version"]
    for name in ("path", "maps"):
        texts: "List[Any]" = value.get(name) or []
        found[name] = [_path(text) for text in texts if isinstance(text, str) and text.startswith("/")]
    return found


def _path(text: "str") -> "bytes":
    return os.path.normpath(text.encode("utf-8", "surrogateescape"))
