"""What stands in a view's ``.afield``: a virtual environment in memory whose every folder is the real one of the environment  [P].

    bin/python, python3, python3.X  → base/bin/python3.X      pyvenv.cfg   home = …/.afield/base/bin (PEP 405)
    base/bin/python3.X               the real interpreter, mounted, since getpath resolves symlinks
    base/lib, base/include …         of the base interpreter: where it looks for its library ($ORIGIN/../lib too)
    lib, share …                     of the environment, so that what is installed is installed there
    bin/NAME                         the environment's commands, started by the interpreter of the view

Rules: describing looks only, and is done before the view is made; a layout is a list of steps for ``twin``.
"""

import os
import stat

from afield.agent.ground import UnsuitableError
from afield.agent.scripts import is_system_bin
from afield.envs.look import read_settings
from afield.envs.versions import short_version, version_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

# A prefix has ten folders; /usr has fifteen.
MOST_FOLDERS = 64
# What a package may put beside `lib` (wheel's "data"): without the folder it would be written into memory, and lost.
USUAL = (b"share", b"etc")
EXCLUDED, LARGEST_EXCLUDE = b".afield/", 1 << 20


def describe(program: "bytes") -> "Dict[str, Any]":
    """Look at the environment of an interpreter. Raises OSError: there is none."""
    text = os.fsdecode(program)
    real = os.path.realpath(text)
    if not os.path.isfile(real) or not os.access(real, os.X_OK):
        raise OSError(2, "%s is no interpreter there" % text)
    base = real
    prefix = os.path.dirname(os.path.dirname(os.path.abspath(text)))
    settings = read_settings(prefix)
    if settings is None:
        prefix = os.path.dirname(os.path.dirname(real))
        settings = read_settings(prefix)
    if settings is not None and os.path.dirname(os.path.dirname(real)) == os.path.realpath(prefix):
        base = _base_of_a_copy(real, settings)
    short = short_version(base) or short_version(real)
    if not short:
        raise OSError(2, "the version of %s cannot be told" % text)
    base_prefix = os.path.dirname(os.path.dirname(base))
    return {
        "prefix": os.fsencode(os.path.realpath(prefix)),
        "bin": os.fsencode(os.path.join(prefix, "bin")),
        "base": os.fsencode(base_prefix),
        "real": os.fsencode(real),
        "short": short,
        "version": version_of(base) or short,
        "virtual": settings is not None,
        "site": _sees_base(settings, base_prefix, short),
        "name": os.path.basename(prefix),
        "mark": _mark(real, os.path.join(prefix, "pyvenv.cfg")),
    }


def _base_of_a_copy(real: "str", settings: "Dict[str, str]") -> "str":
    """Give the interpreter that a copied one was made from, as ``home`` says."""
    home = settings.get("home", "")
    for name in (os.path.basename(real), "python3", "python"):
        path = os.path.join(home, name)
        if home and os.path.exists(path):
            return os.path.realpath(path)
    raise OSError(2, "the base of %s does not exist any more: %s" % (real, home))


def _sees_base(settings: "Any", base: "str", short: "str") -> "bool":
    """Whether packages of the base and of the user count: as a virtual environment says; else where there are such."""
    if settings is not None:
        return bool(settings.get("include-system-site-packages", "").lower() == "true")
    own = os.path.join(base, "lib", "python" + short, "site-packages")
    user = os.path.join(os.path.expanduser("~"), ".local", "lib", "python" + short, "site-packages")
    return not os.path.isdir(own) or os.path.isdir(user)


def _mark(*paths: "str") -> "List[int]":
    """Numbers that change when one of the files is replaced."""
    found: "List[int]" = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue
        found += [status.st_dev, status.st_ino, int(status.st_mtime)]
    return found


def folders_of(prefix: "bytes") -> "List[bytes]":
    """Name the folders of a prefix that are shown again: all but those of commands; of ``/`` only libraries."""
    if prefix == b"/":
        return [name for name in (b"lib", b"lib64", b"include") if os.path.isdir(b"/" + name)]
    found = []
    for name in sorted(os.listdir(prefix)):
        path = os.path.join(prefix, name)
        if name not in (b"bin", b"sbin", b"base", b"games") and os.path.isdir(path):
            found.append(name)
    return found[:MOST_FOLDERS]


def make_usual(env: "Dict[str, Any]") -> "None":
    """Make the folders that installs write to, in a virtual environment that is the user's. Raises nothing."""
    for name in USUAL if env["virtual"] else ():
        try:
            os.mkdir(os.path.join(env["prefix"], name))
        except OSError:  # it is there, or not ours
            pass


def layout(env: "Dict[str, Any]", at: "bytes") -> "List[Any]":
    """Give the steps: ``("folder", path)``, ``("link", path, target)``, ``("text", path, data)``, ``("bind", source, path)``, ``("show", source, path)``.

    What is shown cannot be written to: whoever removes the project's folder must not remove the interpreter.
    """
    name = b"python" + env["short"].encode("ascii")
    base_bin = at + b"/base/bin"
    steps: "List[Any]" = [("folder", at + b"/bin"), ("folder", at + b"/base"), ("folder", base_bin)]
    steps.append(("show", env["real"], base_bin + b"/" + name))
    for other in (b"python", b"python3"):
        steps.append(("link", base_bin + b"/" + other, name))
        steps.append(("link", at + b"/bin/" + other, base_bin + b"/" + name))
    steps.append(("link", at + b"/bin/" + name, base_bin + b"/" + name))
    steps.append(("text", at + b"/pyvenv.cfg", settings(env, at)))
    for prefix, folder, kind in ((env["prefix"], at, "bind"), (env["base"], at + b"/base", "show")):
        for entry in folders_of(prefix):
            source = os.path.join(prefix, entry)
            if stat.S_ISLNK(os.lstat(source).st_mode) and not os.readlink(source).startswith(b"/"):
                steps.append(("link", os.path.join(folder, entry), os.readlink(source)))
            else:
                steps.append((kind, source, os.path.join(folder, entry)))
    return steps


def git_steps(at: "bytes") -> "List[Any]":
    """Give the steps that keep git off a view's environment, which is the real one: nested repositories are spared by ``git clean -x``."""
    return [
        ("folder", at + b"/.git"),
        ("folder", at + b"/.git/objects"),
        ("folder", at + b"/.git/refs"),
        ("text", at + b"/.git/HEAD", b"ref: refs/heads/none\n"),
        ("text", at + b"/.gitignore", b"*\n"),
    ]


def keep_out_of_git(folder: "bytes") -> "None":
    """Have the repository that a project stands in leave ``.afield`` out (gitrepository-layout(5): info/exclude). Raises nothing."""
    above = folder
    while not os.path.isdir(above + b"/.git"):
        if above in (b"/", b""):
            return
        above = os.path.dirname(above)
    path = above + b"/.git/info/exclude"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        with open(fd, "rb+", 0) as file:
            data = file.read(LARGEST_EXCLUDE)
            if EXCLUDED not in data.split(b"\n"):
                file.write((b"" if data.endswith(b"\n") or not data else b"\n") + EXCLUDED + b"\n")
    except OSError:  # somebody else's repository
        pass


def settings(env: "Dict[str, Any]", at: "bytes") -> "bytes":
    """Give the text of ``pyvenv.cfg``; no ``uv`` key, which makes editors install with uv into it."""
    lines = [
        b"home = " + at + b"/base/bin",
        b"include-system-site-packages = " + (b"true" if env["site"] else b"false"),
        b"version = " + env["version"].encode("ascii", "replace"),
        b"prompt = " + os.fsencode(env["name"]).replace(b"\n", b" "),
    ]
    return b"\n".join(lines) + b"\n"


def check_name(at: "bytes") -> "None":
    """Refuse what the text of ``pyvenv.cfg`` cannot hold: Python reads its lines as UTF-8. Raises UnsuitableError."""
    try:
        at.decode("utf-8")
    except UnicodeDecodeError:
        raise UnsuitableError("a path that is not UTF-8 cannot be written into pyvenv.cfg") from None
    if b"\n" in at or b"\r" in at:
        raise UnsuitableError("a path with a line break cannot be written into pyvenv.cfg")


def has_commands(env: "Dict[str, Any]") -> "bool":
    """Tell whether the environment's ``bin`` is its own, not the system's."""
    return not is_system_bin(env["bin"])
