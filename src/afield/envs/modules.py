"""Pythons that environment modules offer (Lmod, Environment Modules), read from the module files  [P].

``module avail`` takes seconds and needs the right shell; a module file that puts a Python into PATH says so in one line, in Tcl
(``prepend-path PATH $root/bin``) or Lua (``prepend_path("PATH", pathJoin(root, "bin"))``). Values are followed through plain
assignments only; a module that computes its paths is listed without them, and the shell finds its ``python3`` after the load.
"""

import os

from afield.envs import versions
from afield.envs.candidates import read_text
from afield.envs.look import find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

    from afield.envs.candidates import Surroundings
    from afield.envs.look import Looker

NAMES = ("python", "anaconda", "miniconda", "miniforge", "mambaforge", "micromamba", "pypy", "intelpython", "conda")
# A site with more module files of Pythons than this has generated them.
MOST = 100


def module_folders(where: "Surroundings") -> "List[str]":
    """Give the folders of MODULEPATH, and where both systems keep its first value: a login without a shell has none."""
    found = [folder for folder in where.variables.get("MODULEPATH", "").split(":") if folder.startswith("/")]
    for name in ("environment-modules/modulespath", "lmod/modulespath"):
        for line in read_text(os.path.join(where.etc, name)).splitlines():
            folder = line.split("#")[0].strip()
            if folder.startswith("/"):
                found.append(folder.rstrip("/*"))
    found += [os.path.join(where.etc, "modulefiles")]
    found += [os.path.join(where.share, name) for name in ("modules/modulefiles", "Modules/modulefiles", "modulefiles")]
    found += [os.path.join(where.share, "lmod/lmod/modulefiles/Core")]
    found += [os.path.join(base, name) for base in where.opt for name in ("modulefiles", "modules", "modules/all")]
    return [folder for folder in dict.fromkeys(found) if os.path.isdir(folder)]


def module_files(folder: "str") -> "Iterator[Tuple[str, str]]":
    """Give (module name, file) of Pythons in one folder of MODULEPATH, a category folder in between allowed."""
    for name in _listed(folder):
        path = os.path.join(folder, name)
        if _is_python(name):
            yield from _of_name(name, path)
        elif os.path.isdir(path):
            for inner in _listed(path):
                if _is_python(inner):
                    yield from _of_name("%s/%s" % (name, inner), os.path.join(path, inner))


def _of_name(name: "str", path: "str") -> "Iterator[Tuple[str, str]]":
    if os.path.isdir(path):
        for version in _listed(path):
            if not version.startswith(".") and os.path.isfile(os.path.join(path, version)):
                yield "%s/%s" % (name, _bare(version)), os.path.join(path, version)
    else:
        yield _bare(name), path


def _bare(name: "str") -> "str":
    return name[:-4] if name.endswith(".lua") else name


def _listed(folder: "str") -> "List[str]":
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def is_plain(name: "str") -> "bool":
    """Tell whether a name can stand in a line of shell as it is."""
    return not set(name) - _LETTERS


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-/@")


def _is_python(name: "str") -> "bool":
    low = _bare(name).lower()
    return any(low.startswith(stem) and low[len(stem) :].strip("0123456789.") == "" for stem in NAMES)


def paths_of(text: "str") -> "List[str]":
    """Give the folders that a module file puts into PATH."""
    known: "Dict[str, str]" = {}
    found = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith(("#", "--")):
            continue
        words = stripped.replace("\t", " ").split(None, 2)
        if len(words) == 3 and words[0] == "set":
            value = _tcl(words[2], known)
            known.pop(words[1], None)
            if value:
                known[words[1]] = value
        elif len(words) >= 3 and words[0] in ("prepend-path", "append-path"):
            rest = [word for word in stripped.split() if not word.startswith("--")]
            if len(rest) > 2 and rest[1] == "PATH":
                found.append(_tcl(rest[2], known))
        elif stripped.startswith(("prepend_path", "append_path")):
            name, _, value = stripped.partition("(")[2].rpartition(")")[0].partition(",")
            if name.strip().strip("'\"") == "PATH":
                found.append(_lua(value, known))
        elif "=" in stripped and not stripped.startswith(("if", "while")):
            left, _, right = stripped.partition("=")
            known[left.replace("local ", "").strip()] = _lua(right, known)
    return [os.path.normpath(path) for path in found if path.startswith("/")]


def _tcl(text: "str", known: "Dict[str, str]") -> "str":
    value = text.strip().strip('"{}')
    for name in sorted(known, key=len, reverse=True):
        value = value.replace("${%s}" % name, known[name]).replace("$%s" % name, known[name])
    return value if "$" not in value and "[" not in value else ""


def _lua(text: "str", known: "Dict[str, str]") -> "str":
    text = text.strip().rstrip(";").strip()
    if text.startswith("pathJoin(") and text.endswith(")"):
        parts = [_lua(part, known) for part in text[len("pathJoin(") : -1].split(",")]
        return "/".join(parts) if all(parts) else ""
    out = ""
    for part in text.split(".."):
        item = part.strip()
        if item[:1] in "'\"" and item[-1:] == item[:1] and len(item) > 1:
            out += item[1:-1]
        elif known.get(item):
            out += known[item]
        else:
            return ""
    return out


def modules(where: "Surroundings", looker: "Looker") -> "Iterator[Dict[str, Any]]":
    """Describe each module that gives a Python."""
    count = 0
    for folder in module_folders(where):
        for name, path in module_files(folder):
            if not is_plain(name):
                continue
            count += 1
            if count > MOST:
                return
            yield _described(name, path, looker)


def _described(name: "str", path: "str", looker: "Looker") -> "Dict[str, Any]":
    folders = paths_of(read_text(path))
    program: "Optional[str]" = None
    for folder in folders:
        found, _ = find_program(os.path.dirname(folder)) if os.path.basename(folder) == "bin" else (None, None)
        program = program or found
    described: "Dict[str, Any]" = {"path": path, "python": None, "packages": 0, "base": None, "broken": None}
    described.update(ipykernel=None, debugpy=None, pip=None, uv=None)
    if program:
        inner = looker.system(program)
        described.update(
            (key, inner[key]) for key in ("python", "version", "packages", "base", "ipykernel", "debugpy", "pip", "uv")
        )
    else:
        last = name.rpartition("/")[2]
        described["version"] = (
            last.split("-")[0] if "python" in name.lower() and versions.version_key(last)[0] else None
        )
        if folders and not any(os.path.isdir(folder) for folder in folders):
            described["broken"] = "it puts %s into PATH, which does not exist" % folders[0]
    described.update(kind="module", name=name, setup=["module load " + name])
    return described
