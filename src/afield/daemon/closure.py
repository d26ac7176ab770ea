"""What has to be there for a path outside the project that a command names: the file, what it imports, or nothing.

Rules: decided by looking at local files only; a script of a tool brings its folder or, in a site-packages folder, the packages it
needs and those that these require; a whole site-packages folder, ``/``, ``/tmp`` or a home folder never travels because an argument
names it; nor does what lies where keys and passwords are kept. What must not go in: sending anything.
"""

from __future__ import annotations

import ast
import os
import re
import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

from afield.daemon.outside import ARGUMENT, CODE, SCRIPT, SEARCH, VARIABLE, Named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The largest helper that was seen is PyCharm's (27 MB); a folder beyond this is somebody's data.
MOST_BYTES, MOST_FILES = 100 << 20, 20_000
# A plain folder that an argument names: a handful of inputs travels, a data set does not.
FEW_BYTES, FEW_FILES = 16 << 20, 1_000
# One plain file.
LARGEST = 256 << 20

_SITE = (b"site-packages", b"dist-packages")
# Where tools install what they start an interpreter with: such a folder belongs together, and nobody keeps own files in it.
_TOOL_PARTS = frozenset(
    b"extensions python_files pythonFiles bundled helpers pydev mason site-packages dist-packages JetBrains .vscode .vscode-server "
    b".cursor plugged lazy pack".split()
)
_KEYS = (
    b".ssh .gnupg .aws .azure .kube .docker .password-store .netrc .pypirc .config/gcloud .config/gh .git-credentials .pgpass "
    b".env .pip .config/pip .my.cnf .npmrc .vault-token .kaggle .config/kaggle .config/rclone .cache/huggingface/token".split()
)
# Of these a plain argument means the machine that runs the program.
_SYSTEM = (b"/usr", b"/etc", b"/bin", b"/sbin", b"/lib", b"/lib32", b"/lib64", b"/opt", b"/var/lib", b"/boot", b"/snap")
_KERNEL = (b"/dev", b"/proc", b"/sys")
_SKIPPED = (b"__pycache__", b".git", b".hg", b".svn", b"node_modules")


class Closure(NamedTuple):
    """What was found.

    ``helpers``: files that are only read there; ``files``: plain ones, which come back when they changed; ``outputs``: what is not
    there yet; ``folders``: may get new files; ``fifos``; ``names``: the paths that are mapped.
    """

    helpers: frozenset[bytes]
    files: frozenset[bytes]
    outputs: frozenset[bytes]
    folders: frozenset[bytes]
    fifos: frozenset[bytes]
    names: frozenset[bytes]


class _Sets:
    def __init__(self) -> None:
        self.helpers: set[bytes] = set()
        self.files: set[bytes] = set()
        self.outputs: set[bytes] = set()
        self.folders: set[bytes] = set()
        self.fifos: set[bytes] = set()
        self.names: set[bytes] = set()

    def closed(self) -> Closure:
        return Closure(
            frozenset(self.helpers),
            frozenset(self.files - self.helpers),
            frozenset(self.outputs),
            frozenset(self.folders),
            frozenset(self.fifos),
            frozenset(self.names),
        )


def close(found: Iterable[Named], home: bytes | None = None) -> Closure:
    """Look at what was named. ``home`` is the user's home folder here."""
    found = list(found)
    home = os.fsencode(os.path.expanduser("~")) if home is None else home
    sets = _Sets()
    sites = [named.path for named in found if is_site(named.path)]
    for path, role in found:
        if not _forbidden(path, home):
            _take(sets, path, role, sites, home)
    return sets.closed()


def is_site(path: bytes) -> bool:
    """Say whether it is a folder of installed packages itself."""
    return os.path.basename(path) in _SITE


def is_below(path: bytes, folder: bytes) -> bool:
    """Say whether path is folder or below it."""
    return path == folder or path.startswith(folder + b"/")


def _forbidden(path: bytes, home: bytes) -> bool:
    if any(is_below(path, kernel) for kernel in _KERNEL):
        return True
    # By whatever name: a link may lead there, and a home is often a link itself.
    names, homes = {path, os.path.realpath(path)}, {home, os.path.realpath(home)}
    return any(is_below(one, house + b"/" + name) for one in names for house in homes for name in _KEYS)


def _too_wide(path: bytes, home: bytes) -> bool:
    """Say whether a folder is one that holds everything: a root, a temporary folder, a home or what is above it."""
    temporary = os.fsencode(os.environ.get("TMPDIR", "/tmp")).rstrip(b"/")
    wide = (b"/tmp", b"/var/tmp", temporary, home, home + b"/.cache", home + b"/.config", home + b"/.local")
    return path in wide or is_below(home, path) or path.count(b"/") < 2


def _take(sets: _Sets, path: bytes, role: str, sites: list[bytes], home: bytes) -> None:
    try:
        info = os.stat(path)
    except OSError:
        if role in (ARGUMENT, VARIABLE) and os.access(os.path.dirname(path), os.W_OK) and not path.startswith(_SYSTEM):
            sets.outputs.add(path)
        return
    if stat.S_ISFIFO(info.st_mode):
        sets.fifos.add(path)
        sets.names.add(path)
    elif stat.S_ISREG(info.st_mode):
        _take_file(sets, path, role, sites, home, info.st_size)
    elif stat.S_ISDIR(info.st_mode):
        _take_folder(sets, path, role, home)


def _take_file(sets: _Sets, path: bytes, role: str, sites: list[bytes], home: bytes, size: int) -> None:
    system = any(is_below(path, folder) for folder in _SYSTEM)
    is_tool = _is_tool(path)
    if size > LARGEST or (role != SCRIPT and system and not is_tool):
        return
    sets.names.add(path)
    if role == SCRIPT or (is_tool and path.endswith((b".py", b".pyz", b".zip"))):
        sets.helpers |= _script(path, sites, home)
    elif _site_of(path) or (role == VARIABLE and path.endswith(b".py")):
        sets.helpers.add(path)
    else:
        sets.files.add(path)


def _take_folder(sets: _Sets, path: bytes, role: str, home: bytes) -> None:
    if role == SCRIPT:
        sets.names.add(path)
        sets.helpers |= _package_of(path, home)
    elif is_site(path):
        # The packages that the script needs lie below it; the name is mapped so that it finds them.
        sets.names.add(path)
    elif role in (SEARCH, CODE) or _is_tool(path):
        tree = None if _too_wide(path, home) else files_below(path)
        if tree is not None:
            sets.names.add(path)
            sets.helpers |= tree
    elif not _too_wide(path, home) and not path.startswith(_SYSTEM):
        tree = files_below(path, FEW_FILES, FEW_BYTES)
        if tree is not None:
            sets.names.add(path)
            sets.files |= tree
            sets.folders.add(path)


def _is_tool(path: bytes) -> bool:
    return not _TOOL_PARTS.isdisjoint(path.split(b"/")[:-1])


def files_below(folder: bytes, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES) -> set[bytes] | None:
    """Give all regular files below a folder, compiled code left out; None when that is too much."""
    found: set[bytes] = set()
    size = 0
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        for name in names:
            if name.endswith((b".pyc", b".pyo")):
                continue
            path = where + b"/" + name
            try:
                info = os.stat(path)
            except OSError:
                continue
            if stat.S_ISREG(info.st_mode):
                found.add(path)
                size += info.st_size
        if len(found) > most_files or size > most_bytes:
            return None
    return found


# ---- what a script needs


def _script(path: bytes, sites: list[bytes], home: bytes) -> set[bytes]:
    """Give a script with what it imports: its tool's folder, or modules beside it, or packages of its site-packages folder."""
    site = _site_of(path)
    if site is not None:
        return {path} | _from_site(path, site, sites)
    folder = os.path.dirname(path)
    if _is_tool(path) and not _too_wide(folder, home):
        tree = files_below(folder)
        if tree is not None:
            return tree | {path}
    found, queue = {path}, [path]
    while queue:
        for name in sorted(imported(queue.pop())):
            for each in _module_files(folder, name):
                if each not in found and len(found) < MOST_FILES:
                    found.add(each)
                    if each.endswith(b".py"):
                        queue.append(each)
    return found


def _site_of(path: bytes) -> bytes | None:
    parts = path.split(b"/")
    for index in range(len(parts) - 1, 0, -1):
        if parts[index] in _SITE:
            return b"/".join(parts[: index + 1])
    return None


def _module_files(folder: bytes, name: str) -> set[bytes]:
    base = folder + b"/" + os.fsencode(name)
    if os.path.isdir(base):
        return files_below(base) or set()
    found = {base + b".py"} if os.path.isfile(base + b".py") else set()
    try:
        for entry in os.scandir(folder):
            if entry.name.startswith(os.fsencode(name) + b".") and entry.name.endswith(b".so"):
                found.add(entry.path)
    except OSError:
        pass
    return found


def _package_of(path: bytes, home: bytes) -> set[bytes]:
    """Give the whole package that a folder with ``__main__`` belongs to."""
    top = path
    while os.path.isfile(os.path.dirname(top) + b"/__init__.py"):
        top = os.path.dirname(top)
    if _too_wide(top, home):
        return set()
    found = files_below(top) or set()
    site = _site_of(top)
    return found | (_required(site, {os.fsdecode(os.path.basename(top))}) if site else set())


def imported(path: bytes) -> set[str]:
    """Give the top-level names that a file imports or runs; nothing for what is no Python, nothing of the standard library."""
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read(2 << 20))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        names |= set(_names(node))
    return {name for name in names if name and name not in sys.stdlib_module_names}


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            yield from ([node.module.partition(".")[0]] if node.module else [alias.name for alias in node.names])
        else:
            yield (node.module or "").partition(".")[0]
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in ("run_module", "import_module", "__import__") and isinstance(node.args[0].value, str):
            yield node.args[0].value.partition(".")[0]


def _from_site(path: bytes, site: bytes, sites: list[bytes]) -> set[bytes]:
    names = imported(path)
    relative = path[len(site) + 1 :].split(b"/")
    own = os.fsdecode(relative[0]) if len(relative) > 1 else ""
    beside = {each for name in names for each in _module_files(os.path.dirname(path), name)}
    wanted = {name for name in names if os.path.exists(site + b"/" + os.fsencode(name))} - {""}
    if sites and own:
        # It is told where packages are: it will import its own one by that.
        wanted.add(own)
    found = beside if len(beside) < MOST_FILES else set()
    return found | _required(site, wanted)


def _required(site: bytes, tops: set[str]) -> set[bytes]:
    """Give the files of packages and of all that their distributions require (``Requires-Dist``), as far as they lie in site."""
    table = _distributions(site)
    owner = {top: name for name, (provided, _, _) in table.items() for top in provided}
    queue, seen, found = [owner.get(top, "") or top for top in tops], set[str](), set[bytes]()
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        provided, requires, info = table.get(name, ({name}, set(), b""))
        queue += requires
        for top in provided:
            found |= _module_files(site, top)
        if info:
            found |= files_below(site + b"/" + info) or set()
        if len(found) > MOST_FILES:
            break
    return found


_REQUIRES = re.compile(r"^Requires-Dist:\s*([A-Za-z0-9._-]+)(.*)$", re.MULTILINE)


def _distributions(site: bytes) -> dict[str, tuple[set[str], set[str], bytes]]:
    """Give by normal name (PEP 503): top-level names, required names, the metadata folder."""
    found: dict[str, tuple[set[str], set[str], bytes]] = {}
    try:
        folders = [name for name in os.listdir(site) if name.endswith(b".dist-info")]
    except OSError:
        return found
    for folder in folders:
        metadata, record = _text(site, folder, b"METADATA"), _text(site, folder, b"RECORD")
        name = _normal(os.fsdecode(folder).partition("-")[0])
        tops = {line.split("/", 1)[0] for line in record.splitlines() if "/" in line.partition(",")[0]}
        tops |= {line.partition(",")[0][:-3] for line in record.splitlines() if re.match(r"[^/]+\.py,", line)}
        tops = {top for top in tops if top and not top.endswith(".dist-info") and top not in ("..", "__pycache__")}
        requires = {_normal(each) for each, rest in _REQUIRES.findall(metadata) if "extra ==" not in rest}
        found[name] = (tops, requires, folder)
    return found


def _text(site: bytes, folder: bytes, name: bytes) -> str:
    try:
        with open(os.path.join(site, folder, name), encoding="utf-8", errors="replace") as file:
            return file.read(4 << 20)
    except OSError:
        return ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
