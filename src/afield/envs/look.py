"""One environment, looked at: kind, name, version, packages, and why it is broken when it is  [P]."""

import os

from afield.envs import packages, versions
from afield.envs.candidates import is_interpreter, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

# Names that say nothing: the project's name stands for them.
PLAIN_NAMES = (".venv", "venv", "env", ".env", "virtualenv", ".virtualenv")
# Whose presence is told beside the count: what kernels, debuggers and installs need.
TOLD = ("ipykernel", "debugpy", "pip", "uv")
PROGRAMS = ("python", "python3", "pypy3", "pypy", "python2")


class Looker:
    """Looks at many environments; what they share (base interpreters) is looked at once."""

    def __init__(self) -> "None":
        self._versions: "Dict[str, Optional[str]]" = {}
        self._bases: "Dict[Tuple[str, Optional[str]], Dict[str, Tuple[str, str, str]]]" = {}

    def environment(self, kind: "str", prefix: "str", name: "str") -> "Optional[Dict[str, Any]]":
        """Describe the environment in a folder; None when the folder is none."""
        settings = read_settings(prefix)
        meta = os.path.join(prefix, "conda-meta")
        is_conda = os.path.exists(os.path.join(meta, "history"))
        if settings is None and not is_conda and not has_program(prefix):
            return None
        if is_conda and settings is None:
            return self._conda(kind, prefix, name, os.path.exists(os.path.join(meta, "pixi")))
        if settings is not None:
            return self._virtual(kind, prefix, name, settings)
        # A base: an interpreter with its library below one folder.
        return self._base(kind, prefix, name) if versions.library_versions(prefix) else None

    def system(self, program: "str") -> "Dict[str, Any]":
        """Describe an interpreter of the system by its program."""
        real = os.path.realpath(program)
        prefix = os.path.dirname(os.path.dirname(real))
        short = versions.short_version(real)
        found = self._described("system", prefix, os.path.basename(real), program, real, short=short)
        if short and any(
            os.path.exists(os.path.join(prefix, "lib", folder, "EXTERNALLY-MANAGED"))
            for folder in ("python" + short, "python" + short.split(".")[0])
        ):
            found["managed"] = True
        return found

    # ---- kinds

    def _conda(self, kind: "str", prefix: "str", name: "str", is_pixi: "bool") -> "Dict[str, Any]":
        program, reason = find_program(prefix)
        if program is None and not versions.conda_version(prefix):
            reason = "this conda environment has no python"
        if is_pixi:
            kind, name = "pixi", pixi_name(prefix)
        elif not name:
            name = "base" if is_conda_base(prefix) else os.path.basename(prefix)
        real = os.path.realpath(program) if program else ""
        found = self._described(kind or "conda", prefix, name, program, real)
        found["version"] = versions.conda_version(prefix) or found["version"]
        found["scripts"] = bool(activation_scripts(prefix))
        found["root"] = is_conda_base(prefix)
        if reason:
            found["broken"] = reason
        return found

    def _virtual(self, kind: "str", prefix: "str", name: "str", settings: "Dict[str, str]") -> "Dict[str, Any]":
        program, reason = find_program(prefix)
        real = os.path.realpath(program) if program else ""
        if real and real.startswith(os.path.realpath(prefix) + "/"):  # a copy: its library is where `home` says
            real, reason = _copied_from(real, settings)
        if not reason:
            reason = self._mismatch(prefix, real)
        kind = kind or virtual_kind(prefix, settings)
        found = self._described(kind, prefix, name or virtual_name(prefix, settings), program, real)
        if reason:
            found["broken"] = reason
            found["version"] = found["version"] or settings.get("version_info") or settings.get("version")
        if settings.get("include-system-site-packages", "").lower() == "true" and real:
            self._inherit(found, real)
        return found

    def _base(self, kind: "str", prefix: "str", name: "str") -> "Dict[str, Any]":
        program, reason = find_program(prefix)
        real = os.path.realpath(program) if program else ""
        found = self._described(kind or "python", prefix, name or os.path.basename(prefix), program, real)
        if reason:
            found["broken"] = reason
        return found

    # ---- parts

    def _described(
        self,
        kind: "str",
        prefix: "str",
        name: "str",
        program: "Optional[str]",
        real: "str",
        *,
        short: "Optional[str]" = None,
    ) -> "Dict[str, Any]":
        found = packages.installed(packages.site_folders(prefix, short))
        described: "Dict[str, Any]" = {
            "name": name,
            "kind": kind,
            "path": prefix,
            "python": program,
            "version": self._version(real),
            "packages": len(found),
            "broken": None,
            "base": real or None,
        }
        for package in TOLD:
            described[package] = found[package][1] if package in found else None
        return described

    def _version(self, real: "str") -> "Optional[str]":
        if not real:
            return None
        if real not in self._versions:
            self._versions[real] = versions.version_of(real)
        return self._versions[real]

    def _mismatch(self, prefix: "str", real: "str") -> "Optional[str]":
        """Tell when the packages are those of another minor: the base was upgraded in place."""
        minors, short = versions.library_versions(prefix), versions.short_version(real) if real else None
        if not minors or not short or short in minors:
            return None
        return "it was made for Python %s, and its interpreter is Python %s now" % (", ".join(minors), short)

    def _inherit(self, found: "Dict[str, Any]", real: "str") -> "None":
        base, short = os.path.dirname(os.path.dirname(real)), versions.short_version(real)
        if (base, short) not in self._bases:
            self._bases[base, short] = packages.installed(packages.site_folders(base, short))
        for package in TOLD:
            if found[package] is None and package in self._bases[base, short]:
                found[package] = self._bases[base, short][package][1]


def read_settings(prefix: "str") -> "Optional[Dict[str, str]]":
    """Give the keys of ``pyvenv.cfg`` in small letters; None when there is none (PEP 405)."""
    path = os.path.join(prefix, "pyvenv.cfg")
    if not os.path.isfile(path):
        return None
    found = {}
    for line in read_text(path).splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found[key.strip().lower()] = value.strip()
    return found


def has_program(prefix: "str") -> "bool":
    """Tell whether a folder has a ``bin/python…``, also one that leads nowhere."""
    return any(os.path.lexists(os.path.join(prefix, "bin", name)) for name in PROGRAMS) or bool(_versioned(prefix))


def _versioned(prefix: "str") -> "List[str]":
    """Give python3.X of a ``bin`` that has no plain name (``make altinstall``), the newest first."""
    try:
        names = os.listdir(os.path.join(prefix, "bin"))
    except OSError:
        return []
    return sorted([name for name in names if is_interpreter(name)], key=versions.version_key, reverse=True)


def find_program(prefix: "str") -> "Tuple[Optional[str], Optional[str]]":
    """Give (interpreter, None), or (None, why there is none)."""
    reason = "it has no bin/python"
    plain = any(os.path.lexists(os.path.join(prefix, "bin", name)) for name in PROGRAMS)
    for name in PROGRAMS if plain else _versioned(prefix):
        path = os.path.join(prefix, "bin", name)
        if not os.path.lexists(path):
            continue
        if not os.path.exists(path):
            return None, "bin/%s leads to %s, which does not exist" % (name, _first_missing(path))
        if os.path.isdir(path) or not os.access(path, os.X_OK):
            reason = "bin/%s cannot be executed" % name
            continue
        return path, None
    return None, reason


def _first_missing(path: "str") -> "str":
    """Follow symlinks to the one that leads nowhere; a loop ends after 40 as in the system (path_resolution(7))."""
    for _ in range(40):
        if not os.path.islink(path):
            break
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    return os.path.normpath(path)


def _copied_from(real: "str", settings: "Dict[str, str]") -> "Tuple[str, Optional[str]]":
    folder = settings.get("home", "")
    if not folder or not os.path.isdir(folder):
        return real, "its base %s does not exist any more" % (folder or "(pyvenv.cfg names none)")
    for name in (os.path.basename(real), "python3", "python"):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return os.path.realpath(path), None
    return real, "its base %s has no python any more" % folder


def virtual_kind(prefix: "str", settings: "Dict[str, str]") -> "str":
    """Tell who made a virtual environment: its own settings, and what its project is managed with."""
    parent = os.path.dirname(prefix)
    if os.path.basename(prefix) == ".venv":
        for name, kind in (
            ("poetry.lock", "poetry"),
            ("Pipfile", "pipenv"),
            ("pdm.lock", "pdm"),
            (".pdm-python", "pdm"),
        ):
            if os.path.exists(os.path.join(parent, name)):
                return kind
    if "uv" in settings:
        return "uv"
    return "virtualenv" if "virtualenv" in settings else "venv"


def virtual_name(prefix: "str", settings: "Dict[str, str]") -> "str":
    """Give the name that a person would use: the folder's; for a plain one its prompt, else the project's."""
    name = os.path.basename(prefix)
    if name not in PLAIN_NAMES:
        return name
    prompt = settings.get("prompt", "").strip("'\"").strip("()").strip()
    return prompt if prompt and prompt not in PLAIN_NAMES else os.path.basename(os.path.dirname(prefix)) or name


def pixi_name(prefix: "str") -> "str":
    """Give ``PROJECT`` or ``PROJECT:ENV`` of ``PROJECT/.pixi/envs/ENV``; a global one has its own name."""
    rest, env = os.path.split(prefix)
    project = os.path.dirname(os.path.dirname(rest))
    if not os.path.exists(os.path.join(project, "pixi.toml")) and not os.path.exists(
        os.path.join(project, "pyproject.toml")
    ):
        return env
    name = os.path.basename(project)
    return name if env == "default" else "%s:%s" % (name, env)


def is_conda_base(prefix: "str") -> "bool":
    """Tell whether conda or mamba itself is installed here."""
    if os.path.exists(os.path.join(prefix, "bin", "conda")) or os.path.exists(os.path.join(prefix, "condabin")):
        return True
    try:
        return any(name.startswith(("conda-", "mamba-")) for name in os.listdir(os.path.join(prefix, "conda-meta")))
    except OSError:
        return False


def activation_scripts(prefix: "str") -> "List[str]":
    """Give the scripts that packages of a conda environment want to be read before it is used, in conda's order."""
    folder = os.path.join(prefix, "etc/conda/activate.d")
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".sh")]
    except OSError:
        return []
