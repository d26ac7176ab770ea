"""Where each tool keeps its environments  [P].

Each finder gives ``(kind, folder, name or "")``; a folder that is no environment after all is dropped later. The locations are
those that the tools document and that Microsoft's python-environment-tools knows; the order is the order of trust: the first
finder that names a folder decides its kind.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Sequence, Tuple

    Found = Iterator[Tuple[str, str, str]]

CONDA_NAMES = [
    name + digit for name in ("anaconda", "miniconda", "miniforge", "mambaforge", "micromamba") for digit in ("", "3")
]
# A settings file of a tool is some hundred bytes; environments.txt of an old account some KB.
_LARGEST = 1 << 18


class Surroundings:
    """What the finders look at: home, variables, and the folders of the system (tests bring their own)."""

    def __init__(
        self,
        home: "str",
        variables: "Dict[str, str]",
        *,
        made: "str" = "",
        opt: "Sequence[str]" = ("/opt", "/usr/local", "/apps", "/sw"),
        binaries: "Sequence[str]" = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"),
        etc: "str" = "/etc",
        share: "str" = "/usr/share",
    ) -> "None":
        self.home = home
        self.variables = variables
        self.made = made
        self.opt = opt
        self.binaries = binaries
        self.etc = etc
        self.share = share

    def folder(self, variable: "str", default: "str" = "") -> "str":
        """Give the folder that a variable names, else default below home, else ""."""
        value = self.variables.get(variable, "")
        if value.startswith("~/"):
            value = os.path.join(self.home, value[2:])
        if value.startswith("/"):
            return value
        return os.path.join(self.home, default) if default else ""

    def data(self, name: "str") -> "str":
        """Give a tool's folder below XDG_DATA_HOME."""
        return os.path.join(self.folder("XDG_DATA_HOME", ".local/share"), name)

    def settings(self, name: "str") -> "str":
        """Give a tool's file below XDG_CONFIG_HOME."""
        return os.path.join(self.folder("XDG_CONFIG_HOME", ".config"), name)

    def path(self) -> "List[str]":
        """Give the folders of PATH, those of version managers' shims left out."""
        folders = self.variables.get("PATH", os.defpath).split(":")
        return [folder for folder in folders if folder.startswith("/") and not folder.rstrip("/").endswith("/shims")]


def candidates(where: "Surroundings") -> "Found":
    """Give everything that the known places hold, the most telling places first."""
    for finder in FINDERS:
        yield from finder(where)


def children(folder: "str") -> "List[str]":
    """Give the folders in a folder, sorted, symlinks left out; none when it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def read_text(path: "str") -> "str":
    """Give a small file's text, "" when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def setting(text: "str", name: "str") -> "str":
    """Give the text value of the first ``name = "…"`` in a TOML file, in any table; "" when there is none."""
    for line in text.splitlines():
        left, equals, right = line.partition("=")
        if equals and left.strip().rpartition(".")[2] == name:
            value = right.strip()
            if value[:1] in "'\"" and value.count(value[0]) > 1:
                return value[1 : value.index(value[0], 1)]
    return ""


def _made(where: "Surroundings") -> "Found":
    for folder in children(where.made) if where.made else []:
        yield "", folder, os.path.basename(folder)


def _pyenv(where: "Surroundings") -> "Found":
    for folder in children(os.path.join(where.folder("PYENV_ROOT", ".pyenv"), "versions")):
        has_settings = os.path.exists(os.path.join(folder, "pyvenv.cfg"))
        yield "pyenv-virtualenv" if has_settings else "pyenv", folder, os.path.basename(folder)
        for inner in children(os.path.join(folder, "envs")):
            yield "pyenv-virtualenv", inner, os.path.basename(inner)


def _pixi(where: "Surroundings") -> "Found":
    for folder in children(os.path.join(where.folder("PIXI_HOME", ".pixi"), "envs")):
        yield "pixi", folder, os.path.basename(folder)


def conda_roots(where: "Surroundings") -> "List[str]":
    """Give the folders that may be a conda installation."""
    found = []
    for variable in ("CONDA_EXE", "MAMBA_EXE", "_CONDA_EXE"):
        program = where.folder(variable)
        if program:
            found.append(os.path.dirname(os.path.dirname(program)))
    found += [where.folder("MAMBA_ROOT_PREFIX"), where.folder("_CONDA_ROOT")]
    bases = [os.path.join(where.home, part) for part in ("", "opt", ".local", ".conda", ".local/share")]
    bases += list(where.opt)
    for base in bases:
        found += [os.path.join(base, name) for name in CONDA_NAMES]
    found += [os.path.join(base, "conda") for base in where.opt] + [os.path.join(where.home, "mamba")]
    for folder in where.path():
        program = os.path.join(folder, "conda")
        if os.path.exists(program):
            found.append(os.path.dirname(os.path.dirname(os.path.realpath(program))))
    return [root for root in dict.fromkeys(found) if root and os.path.isdir(root)]


def _conda(where: "Surroundings") -> "Found":
    roots = conda_roots(where)
    for line in read_text(os.path.join(where.home, ".conda/environments.txt")).splitlines():
        folder = line.strip()
        if folder.startswith("/"):
            parent, name = os.path.split(folder)
            if os.path.basename(parent) == "envs":
                roots.append(os.path.dirname(parent))
            yield "conda", folder, name
    for root in dict.fromkeys(roots):
        yield "conda", root, ""
    for folder in _conda_folders(where, roots):
        for inner in children(folder):
            yield "conda", inner, os.path.basename(inner)


def _conda_folders(where: "Surroundings", roots: "List[str]") -> "List[str]":
    found = [os.path.join(root, "envs") for root in roots] + [os.path.join(where.home, ".conda/envs")]
    for variable in ("CONDA_ENVS_PATH", "CONDA_ENVS_DIRS"):
        found += [folder for folder in where.variables.get(variable, "").split(":") if folder.startswith("/")]
    files = [os.path.join(where.home, name) for name in (".condarc", ".conda/.condarc", ".mambarc")]
    files += [where.settings("conda/.condarc"), os.path.join(where.etc, "conda/.condarc")]
    for path in files + [os.path.join(root, ".condarc") for root in roots]:
        found += [_expand(where, folder) for folder in condarc_folders(read_text(path))]
    return list(dict.fromkeys(found))


def condarc_folders(text: "str") -> "List[str]":
    """Give the entries of ``envs_dirs`` (or ``envs_path``) of a .condarc: a YAML list, one line each or in brackets."""
    found, inside = [], False
    for line in text.splitlines():
        stripped = line.split(" #")[0].strip()
        if inside and stripped.startswith("- "):
            found.append(stripped[2:].strip().strip("'\""))
        elif stripped:
            name, colon, rest = stripped.partition(":")
            inside = bool(colon) and name in ("envs_dirs", "envs_path")
            if inside and rest.strip().startswith("["):
                found += [item.strip().strip("'\"") for item in rest.strip().strip("[]").split(",") if item.strip()]
    return found


def _expand(where: "Surroundings", path: "str") -> "str":
    if path == "~" or path.startswith("~/"):
        return where.home + path[1:]
    return path.replace("$HOME", where.home)


def _uv(where: "Surroundings") -> "Found":
    for folder in children(where.folder("UV_TOOL_DIR") or where.data("uv/tools")):
        yield "uv-tool", folder, os.path.basename(folder)
    for folder in children(where.folder("UV_PYTHON_INSTALL_DIR") or where.data("uv/python")):
        yield "uv-python", folder, os.path.basename(folder)


def _poetry(where: "Surroundings") -> "Found":
    told = setting(read_text(where.settings("pypoetry/config.toml")), "path")
    cache = where.folder("POETRY_CACHE_DIR") or os.path.join(where.folder("XDG_CACHE_HOME", ".cache"), "pypoetry")
    for folder in (where.folder("POETRY_VIRTUALENVS_PATH"), _expand(where, told), os.path.join(cache, "virtualenvs")):
        for inner in children(folder) if folder.startswith("/") else []:
            yield "poetry", inner, without_hash(os.path.basename(inner))


def without_hash(name: "str") -> "str":
    """Give NAME of poetry's ``NAME-HASH8-pyX.Y``, pipenv's ``NAME-HASH8``; other names as they are."""
    stem, dash, last = name.rpartition("-")
    if dash and last.startswith("py") and last[2:3].isdigit():
        name = stem
    # The hash is base64 in its form for URLs: it may hold a dash itself.
    return name[:-9] if len(name) > 9 and name[-9] == "-" else name


def _pipenv(where: "Surroundings") -> "Found":
    for folder in (where.data("virtualenvs"), os.path.join(where.home, ".venvs"), where.folder("WORKON_HOME")):
        for inner in children(folder) if folder else []:
            name = os.path.basename(inner)
            if without_hash(name) != name and os.path.exists(os.path.join(inner, ".project")):
                yield "pipenv", inner, without_hash(name)


def _hatch(where: "Surroundings") -> "Found":
    told = setting(read_text(where.settings("hatch/config.toml")), "virtual")
    data = where.folder("HATCH_DATA_DIR") or where.data("hatch")
    for root in (os.path.join(data, "env/virtual"), _expand(where, told)):
        for project in children(root) if root.startswith("/") else []:
            for number in children(project):
                for folder in children(number):
                    name, env = os.path.basename(project), os.path.basename(folder)
                    yield "hatch", folder, name if name == env else "%s:%s" % (name, env)


def _wrapper(where: "Surroundings") -> "Found":
    for folder in (where.folder("WORKON_HOME"), *[os.path.join(where.home, name) for name in (".virtualenvs", "Envs")]):
        for inner in children(folder) if folder else []:
            yield "virtualenvwrapper", inner, os.path.basename(inner)


def _others(where: "Surroundings") -> "Found":
    pipx = [where.folder("PIPX_HOME"), where.data("pipx"), os.path.join(where.home, ".local/pipx")]
    pipx += [os.path.join(base, "pipx") for base in where.opt]
    places = [("pipx", os.path.join(root, "venvs")) for root in pipx if root]
    places += [("pdm", where.data("pdm/venvs")), ("pdm", where.data("pdm/python"))]
    places += [("mise", where.data("mise/installs/python")), ("rye", os.path.join(where.home, ".rye/py"))]
    places.append(("asdf", os.path.join(where.folder("ASDF_DATA_DIR", ".asdf"), "installs/python")))
    for kind, folder in places:
        for inner in children(folder):
            name = os.path.basename(inner)
            yield kind, inner, pdm_name(name) if kind == "pdm" else name


def pdm_name(name: "str") -> "str":
    """Give PROJECT of pdm's ``PROJECT-HASH8-3.12``, PROJECT:NAME of a named one; other names as they are."""
    for at in range(len(name) - 10, 0, -1):
        if name[at] == "-" and name[at + 9] == "-" and name[at + 10 :]:
            rest = name[at + 10 :]
            return name[:at] if rest.replace(".", "").isdigit() else "%s:%s" % (name[:at], rest)
    return name


def _active(where: "Surroundings") -> "Found":
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        folder = where.folder(variable)
        if folder:
            yield "", folder, ""


FINDERS = (_made, _pyenv, _pixi, _conda, _uv, _poetry, _pipenv, _hatch, _wrapper, _others, _active)


def system_pythons(where: "Surroundings") -> "List[Tuple[str, Optional[str]]]":
    """Give (interpreter, the environment that it belongs to or None) for the programs of PATH and of the system's folders."""
    found: "Dict[str, Tuple[str, Optional[str]]]" = {}
    for folder in dict.fromkeys([*where.binaries, *where.path()]):
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        parent = os.path.dirname(folder.rstrip("/"))
        is_env = any(os.path.exists(os.path.join(parent, name)) for name in ("pyvenv.cfg", "conda-meta"))
        for name in names:
            if is_interpreter(name) and ("." in name or is_env or name in ("python3", "pypy3")):
                path = os.path.join(folder, name)
                real = os.path.realpath(path)
                # A version manager's shim is a script: what it starts depends on where.
                if real not in found and os.access(real, os.X_OK) and not _is_script(real):
                    found[real] = (path, parent if is_env else None)
    return list(found.values())


def is_interpreter(name: "str") -> "bool":
    """Tell whether a file name is python, python3, python3.11, python3.13t or the same of pypy."""
    for stem in ("python", "pypy"):
        if name.startswith(stem):
            rest = name[len(stem) :]
            rest = rest[:-1] if rest.endswith(("t", "m")) else rest
            return rest.replace(".", "").strip("0123456789") == "" and not rest.endswith(".")
    return False


def _is_script(path: "str") -> "bool":
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return True
