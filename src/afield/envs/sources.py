"""Lists the source files of an environment by units: the entries of its module folders, each with a key  [P].

A unit is one entry of a folder on ``sys.path`` (a package, a module, a ``dist-info``). Its key is made of the RECORD files that own
it (PEP 376, PEP 627), so a package that did not change is neither walked nor told; what no RECORD owns is walked, and its key is
made of sizes and times. A RECORD tells the digests as well: the files of a new package are not read here to list them.
Links are followed (uv and conda can make every file one), in no circles. Nothing is written.
"""

import binascii
import hashlib
import os
import stat
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

    Row = Tuple[bytes, int, int, bool]
    Unit = NamedTuple(
        "Unit",
        [
            ("name", bytes),
            ("kind", str),
            ("key", bytes),
            ("paths", List[bytes]),
            ("sizes", List[int]),
            ("digests", List[bytes]),
        ],
    )
else:
    from collections import namedtuple

    Unit = namedtuple("Unit", "name kind key paths sizes digests")

# No tool that reads sources takes a larger file for one; the largest generated modules have 3 MB.
LARGEST = 8 << 20
# Twenty times a large environment of machine learning; what has more is no environment.
MOST_FILES = 400000
# Entries looked at below a folder that only stands on sys.path: a project, and not a home folder or a disk of data.
MOST_LOOKED_AT = 60000
DEEPEST = 40
_RECORD_LARGEST = 64 << 20
EMPTY = hashlib.sha256().digest()
_INFO = (b".dist-info", b".egg-info")
_NATIVE = (b".so", b".pyd")
_SKIPPED = (b"__pycache__", b"node_modules")
# Beside the modules of the standard library, and no part of it; its tests are two thirds of its files and nobody's import.
_NOT_STDLIB = (b"site-packages", b"dist-packages", b"test")
_URLSAFE = bytes.maketrans(b"-_", b"+/")


class TooLarge(Exception):  # noqa: N818 a way out of a walk
    """There is more below a folder than an environment has."""


class Budget:
    """What may still be looked at."""

    def __init__(self, looks: "int") -> "None":
        self.looks = looks

    def take(self, count: "int") -> "None":
        """Count entries. Raises TooLarge."""
        self.looks -= count
        if self.looks < 0:
            raise TooLarge()


def wanted(name: "bytes", in_info: "bool", top: "bool") -> "bool":
    """Whether a file is a source: for people, type checkers and language servers."""
    if name.endswith((b".py", b".pyi")) or name == b"py.typed" or in_info:
        return True
    return top and name.endswith((b".pth", b".egg-info", b".egg-link"))


def native(name: "bytes") -> "bool":
    """Whether a file is an extension module: its name is told, because some tools resolve an import by it, its content is not."""
    return name.endswith(_NATIVE) and name[:1].isalpha() | (name[:1] == b"_") and not name.startswith(b"lib")


def walk(folder: "bytes", name: "bytes", budget: "Budget") -> "Tuple[str, List[Row]]":
    """Give ("d" or "f", rows of path, size, mtime_ns, native) of one unit, sorted. Raises TooLarge."""
    full = os.path.join(folder, name)
    try:
        found = os.stat(full)
    except OSError:
        return "f", []
    rows: "List[Row]" = []
    if not stat.S_ISDIR(found.st_mode):
        if wanted(name, False, True) or native(name):
            _add(rows, name, name, found)
        return "f", rows
    _descend(full, name, name.endswith(_INFO), {(found.st_dev, found.st_ino)}, rows, budget)
    rows.sort()
    return "d", rows


def _descend(
    full: "bytes", path: "bytes", in_info: "bool", above: "Set[Tuple[int, int]]", rows: "List[Row]", budget: "Budget"
) -> "None":
    try:
        with os.scandir(full) as entries:
            found = list(entries)
    except OSError:
        return
    budget.take(len(found))
    if len(above) > DEEPEST or any(entry.name == b"pyvenv.cfg" for entry in found):
        return
    for entry in found:
        name = entry.name
        try:
            if entry.is_dir():
                if name in _SKIPPED or name.startswith(b"."):
                    continue
                inner = entry.stat() if entry.is_symlink() else None
                here = (inner.st_dev, inner.st_ino) if inner else (0, entry.inode())
                if inner is None or here not in above:
                    _descend(entry.path, path + b"/" + name, in_info, above | {_identity(entry)}, rows, budget)
            elif wanted(name, in_info, False) or native(name):
                _add(rows, path + b"/" + name, name, entry.stat())
        except OSError:
            continue  # vanished, or a link to nowhere


def _identity(entry: "Any") -> "Tuple[int, int]":
    found = entry.stat()
    return (found.st_dev, found.st_ino)


def _add(rows: "List[Row]", path: "bytes", name: "bytes", found: "os.stat_result") -> "None":
    if stat.S_ISREG(found.st_mode):
        if native(name):
            rows.append((path, 0, 0, True))
        elif found.st_size <= LARGEST:
            rows.append((path, found.st_size, found.st_mtime_ns, False))


class Records:
    """The RECORD files of one folder: which units they own, and the digests that they tell."""

    def __init__(self, folder: "bytes", names: "List[bytes]") -> "None":
        self.owners: "Dict[bytes, List[bytes]]" = {}
        self._texts: "Dict[bytes, bytes]" = {}
        self._digests: "Dict[bytes, Dict[bytes, bytes]]" = {}
        for name in names:
            if name.endswith(b".dist-info"):
                text = _read(os.path.join(folder, name, b"RECORD"))
                if text is not None:
                    self._own(text)

    def _own(self, text: "bytes") -> "None":
        digest = hashlib.sha256(text).digest()
        self._texts[digest] = text
        tops = {line.lstrip(b'"').partition(b"/")[0] for line in text.split(b"\n") if b"/" in line}
        tops |= {_first(line) for line in text.split(b"\n") if line and b"/" not in line.partition(b",")[0]}
        for top in tops:
            self.owners.setdefault(top, []).append(digest)

    def key(self, name: "bytes") -> "Optional[bytes]":
        """Give the key of a unit, None when no RECORD owns it."""
        owners = self.owners.get(name)
        if not owners:
            return None
        return hashlib.sha256(b"R" + b"".join(sorted(owners))).digest()

    def digest(self, unit: "bytes", path: "bytes", size: "int") -> "Optional[bytes]":
        """Give what is told of a file, when its size is the one that is told."""
        table = self._digests.get(unit)
        if table is None:
            table = self._digests[unit] = {}
            for owner in self.owners.get(unit, ()):
                _parse(self._texts[owner], unit, table)
        return table.get(path + b",%d" % size)

    def done(self, unit: "bytes") -> "None":
        """Forget what was looked up for a unit."""
        self._digests.pop(unit, None)


def _first(line: "bytes") -> "bytes":
    return line.strip().rsplit(b",", 2)[0].strip(b'"')


def _parse(text: "bytes", unit: "bytes", table: "Dict[bytes, bytes]") -> "None":
    """Read the lines of a unit: ``path,sha256=…,size`` (the path in quotes when it has a comma)."""
    for line in text.split(b"\n"):
        if not line.startswith((unit, b'"' + unit)):
            continue
        parts = line.strip().rsplit(b",", 2)
        if len(parts) == 3 and parts[1].startswith(b"sha256="):
            path = parts[0][1:-1].replace(b'""', b'"') if parts[0].startswith(b'"') else parts[0]
            try:
                digest = binascii.a2b_base64(parts[1][7:].translate(_URLSAFE) + b"==")
            except (binascii.Error, ValueError):
                continue
            if len(digest) == 32:
                table[path + b"," + parts[2]] = digest


def _read(path: "bytes", most: "int" = _RECORD_LARGEST) -> "Optional[bytes]":
    """Give a regular file's bytes, None when there is none or it is larger than ``most``."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            return None
        pieces, left = [], most + 1
        while left > 0:
            piece = os.read(fd, min(left, max(found.st_size + 1, 1 << 16)))
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        data = b"".join(pieces)
        return None if len(data) > most else data
    except OSError:
        return None
    finally:
        os.close(fd)


def read_source(path: "bytes") -> "Optional[bytes]":
    """Give the bytes of a source, None when it cannot be read or is none."""
    return _read(path, LARGEST)


def units(
    folder: "bytes", stdlib: "bool", known: "Dict[bytes, bytes]", full: "bool", budget: "Budget"
) -> "Iterator[Tuple[bytes, Optional[Unit]]]":
    """Yield (name, Unit) of what is new or changed in a folder, (name, None) of what has the known key.

    ``full``: every file is looked at and hashed, whatever a RECORD says. Raises TooLarge.
    """
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    budget.take(len(names))
    records = Records(folder, names)
    for name in names:
        if name in _SKIPPED or name.startswith(b".") or (stdlib and name in _NOT_STDLIB):
            continue
        key = records.key(name)
        if key is not None and not full and known.get(name) == key:
            yield name, None
            continue
        kind, rows = walk(folder, name, budget)
        if not rows:
            continue
        if key is None:
            key = _key_of(kind, rows)
            if not full and known.get(name) == key:
                yield name, None
                continue
        yield name, _unit(folder, name, kind, key, rows, None if full else records)
        records.done(name)


def _key_of(kind: "str", rows: "List[Row]") -> "bytes":
    hasher = hashlib.sha256(b"S" + kind.encode())
    for path, size, mtime, _ in rows:
        hasher.update(path + b"\0" + struct.pack("<Qq", size, mtime))
    return hasher.digest()


def _unit(
    folder: "bytes", name: "bytes", kind: "str", key: "bytes", rows: "List[Row]", records: "Optional[Records]"
) -> "Unit":
    paths: "List[bytes]" = []
    sizes: "List[int]" = []
    digests: "List[bytes]" = []
    for path, told, _, is_native in rows:
        size = told
        digest = EMPTY if is_native else records.digest(name, path, size) if records is not None else None
        if digest is None:
            data = read_source(os.path.join(folder, path))
            if data is None:
                continue
            size, digest = len(data), hashlib.sha256(data).digest()
        paths.append(path)
        sizes.append(size)
        digests.append(digest)
    return Unit(name, kind, key, paths, sizes, digests)
