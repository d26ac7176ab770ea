"""What is installed in an environment, from the names in its ``site-packages``  [P].

One listing of a folder tells name and version of everything (PEP 376: ``NAME-VERSION.dist-info``); no metadata file is opened
except where an export asks for origins (PEP 610: ``direct_url.json``).
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple


def site_folders(prefix: "str", short: "Optional[str]" = None) -> "List[str]":
    """Give the folders of an environment that hold packages; for a system's Python only those of its version (``short``: "3.11")."""
    found = []
    for lib in ("lib", "lib64", "local/lib"):
        folder = os.path.join(prefix, lib)
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            if name.startswith(("python", "pypy")) and (short is None or name in _names(short)):
                found += [os.path.join(folder, name, sub) for sub in ("site-packages", "dist-packages")]
    if os.path.exists(os.path.join(prefix, "site-packages")):  # PyPy before 7.3.8
        found.append(os.path.join(prefix, "site-packages"))
    unique: "Dict[str, str]" = {}
    for folder in found:
        if os.path.isdir(folder):
            unique.setdefault(os.path.realpath(folder), folder)
    return list(unique.values())


def _names(short: "str") -> "Tuple[str, ...]":
    # Debian keeps the packages of every minor in lib/python3/dist-packages.
    return ("python" + short, "python%st" % short, "pypy" + short, "python" + short.split(".")[0])


def installed(folders: "List[str]") -> "Dict[str, Tuple[str, str, str]]":
    """Give normalised name → (name, version, metadata folder); the first folder wins, as for an import."""
    found: "Dict[str, Tuple[str, str, str]]" = {}
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for entry in names:
            if entry.endswith((".dist-info", ".egg-info")):
                name, version = split(entry[: -len(".dist-info")])
                found.setdefault(normalise(name), (name, version, os.path.join(folder, entry)))
            elif entry.endswith(".egg-link"):
                found.setdefault(normalise(entry[:-9]), (entry[:-9], "", os.path.join(folder, entry)))
    return found


def split(stem: "str") -> "Tuple[str, str]":
    """Give (name, version) of "numpy-2.1.0", "PyYAML-6.0-py3.11" or a bare "setuptools"."""
    name, _, rest = stem.partition("-")
    version = rest.split("-")[0]
    if rest and not version[:1].isdigit() and "-" in rest:  # a name with a dash, as old eggs had
        name, _, version = stem.rpartition("-")
    return name, version


def normalise(name: "str") -> "str":
    """Give the name by which packages are compared (PEP 503)."""
    out = name.lower().replace("_", "-").replace(".", "-")
    while "--" in out:
        out = out.replace("--", "-")
    return out


def origin(metadata: "str") -> "str":
    """Give where a package that came from no index came from, as pip takes it; "" for the usual ones (PEP 610)."""
    try:
        with open(os.path.join(metadata, "direct_url.json"), "rb") as file:
            data = file.read(65536)
        import json

        value = json.loads(data.decode("utf-8"))
        url = str(value["url"])
        if "vcs_info" in value:
            return "%s+%s@%s" % (value["vcs_info"]["vcs"], url, value["vcs_info"]["commit_id"])
        if (value.get("dir_info") or {}).get("editable"):
            return "-e " + (url[7:] if url.startswith("file://") else url)
        return url
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def listing(prefix: "str", short: "Optional[str]" = None) -> "List[List[str]]":
    """Give [name, version, origin] of everything installed, sorted by name."""
    found = installed(site_folders(prefix, short))
    return [[name, version, origin(path)] for _, (name, version, path) in sorted(found.items())]
