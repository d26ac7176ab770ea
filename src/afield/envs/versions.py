"""The exact version of an interpreter without starting it  [P].

In the order of trust (each was checked against real interpreters): what conda installed, ``build-details.json`` (Python 3.14,
PEP 739), ``patchlevel.h``, the text inside the program or its library, the folder's name. ``pyvenv.cfg`` comes last of all: it goes
stale when the base is upgraded.
"""

import os

from afield.envs.candidates import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional


def version_of(real: "str") -> "Optional[str]":
    """Give "3.11.7" of a resolved interpreter file; "3.11" when only its name tells; None when nothing does. 0.1 to 20 ms."""
    prefix = os.path.dirname(os.path.dirname(real))
    short = short_version(real)
    return (
        conda_version(prefix)
        or _details(prefix, short)
        or _patchlevel(prefix, short)
        or _inside(prefix, real, short)
        or _folder(prefix, short)
        or short
    )


def short_version(real: "str") -> "Optional[str]":
    """Give "3.11" from the file's name or from the library beside it."""
    name = os.path.basename(real).rstrip("tm").lstrip("pyhton")
    if name.count(".") >= 1 and name.replace(".", "").isdigit():
        return ".".join(name.split(".")[:2])
    minors = library_versions(os.path.dirname(os.path.dirname(real)))
    return minors[-1] if minors else None


def library_versions(prefix: "str") -> "List[str]":
    """Give the "3.11" of each ``lib/python3.11`` that has packages or a standard library, oldest first."""
    found = set()
    for folder in ("lib", "lib64"):
        try:
            names = os.listdir(os.path.join(prefix, folder))
        except OSError:
            continue
        for name in names:
            digits = name[6:].rstrip("t") if name.startswith("python") else name[4:] if name.startswith("pypy") else ""
            if digits.count(".") == 1 and digits.replace(".", "").isdigit():
                found.add(digits)
    return sorted(found, key=version_key)


def version_key(text: "str") -> "List[int]":
    """Give what versions are sorted by: their numbers."""
    numbers = []
    for part in text.split("."):
        digits = ""
        for letter in part:
            if not letter.isdigit():
                break
            digits += letter
        numbers.append(int(digits or 0))
    return numbers


def conda_version(prefix: "str") -> "Optional[str]":
    """Give the version of conda's package ``python``: ``conda-meta/python-3.11.7-h955ad1f_0.json``."""
    try:
        names = os.listdir(os.path.join(prefix, "conda-meta"))
    except OSError:
        return None
    for name in names:
        if name.startswith("python-") and name.endswith(".json"):
            parts = name[: -len(".json")].rsplit("-", 2)
            if len(parts) == 3 and parts[0] == "python" and parts[1][:1].isdigit():
                return parts[1]
    return None


def _details(prefix: "str", short: "Optional[str]") -> "Optional[str]":
    text = read_text(os.path.join(prefix, "lib", "python%s" % short, "build-details.json")) if short else ""
    if not text:
        return None
    try:
        import json

        version = json.loads(text)["language"]["version_info"]
        return "%d.%d.%d" % (version["major"], version["minor"], version["micro"])
    except (ValueError, KeyError, TypeError):
        return None


def _patchlevel(prefix: "str", short: "Optional[str]") -> "Optional[str]":
    for suffix in ("", "m", "t") if short else ():
        text = read_text(os.path.join(prefix, "include", "python%s%s" % (short, suffix), "patchlevel.h"))
        for line in text.splitlines():
            words = line.split()
            if words[:2] == ["#define", "PY_VERSION"]:
                return words[2].strip('"')
    return None


def _inside(prefix: "str", real: "str", short: "Optional[str]") -> "Optional[str]":
    if not short:
        return None
    names = ("libpython%s.so.1.0" % short, "libpython%sm.so.1.0" % short, "libpython%st.so.1.0" % short)
    for path in (real, *[os.path.join(prefix, "lib", name) for name in names]):
        found = _search(path, short)
        if found:
            return found
    return None


def _search(path: "str", short: "str") -> "Optional[str]":
    """Find the text that ``sys.version`` begins with: NUL, X.Y.Z, perhaps ``rc1`` or ``+``, NUL."""
    import mmap

    needle = b"\0" + short.encode("ascii") + b"."
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            at = data.find(needle)
            while at >= 0:
                text = data[at + 1 : at + 24].split(b"\0")[0]
                rest = text[len(needle) - 1 :]
                if rest[:1].isdigit() and len(text) < 16 and rest.replace(b"+", b"").isalnum():
                    return text.decode("ascii")
                at = data.find(needle, at + 1)
    except (OSError, ValueError):
        pass
    return None


def _folder(prefix: "str", short: "Optional[str]") -> "Optional[str]":
    """Give the version in ``…/versions/3.11.7`` or ``cpython-3.11.7-linux-x86_64-gnu``."""
    name = os.path.basename(prefix)
    for part in name.split("-"):
        if part.count(".") == 2 and part.replace(".", "").isdigit() and (not short or part.startswith(short + ".")):
            return part
    return None
