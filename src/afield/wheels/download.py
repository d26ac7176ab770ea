"""Lets pip resolve and download here what fits a place.

pip takes tags for another system but reads markers (``; python_version < "3.9"``) with the values of here; so it is started
through a few lines that give it the values of there. It runs with the settings and the credentials of the user's shell.
"""

from __future__ import annotations

import glob
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from typing import TYPE_CHECKING, Any

from afield.errors import EnvFailed, NoWheel
from afield.wheels import tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# `markers` is pip's own copy of the library that reads them; both names are there since pip 20.
_DRIVER = """
import json, sys
path, values = sys.argv[1], json.loads(sys.argv[2])
del sys.argv[1:3]
if path:
    sys.path.insert(0, path)
from pip._vendor.packaging import markers
if values:
    markers.default_environment = lambda: dict(values)
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
_MISSING = re.compile(
    r"(?:No matching distribution found for|Could not find a version that satisfies the requirement) ([^\s;(]+)"
)
# What pip says of an index that it gives up (its last try of one that does not answer); it then goes on as if the index were empty.
_UNREACHED = re.compile(
    r"Retry\(total=0,.*? connection broken by '(?:\w+\()?(?:'?<[^>]*>[:,] '?)?(.+?)'?\)?': \S*$|Could not fetch URL (.+?)(?: - skipping)?$|(\S+ is not a trusted or secure host)",
    re.MULTILINE,
)


def find_pip() -> tuple[str, str]:
    """Give (a Python of here, the wheel of pip that it runs, "" for an installed one). Raises EnvFailed."""
    if importlib.util.find_spec("pip") is not None:
        return sys.executable, ""
    found = bundled_pips()
    if found:
        return sys.executable, found[-1]
    for name in ("python3", "python"):
        program = shutil.which(name)
        if program and subprocess.run([program, "-c", "import pip"], capture_output=True, check=False).returncode == 0:
            return program, ""
    raise EnvFailed(
        "there is no pip here to resolve packages with", hint="install one (python3 -m ensurepip), or use --direct"
    )


def bundled_pips() -> list[str]:
    """Give the wheels of pip that this Python brings (ensurepip; Debian keeps them apart)."""
    folders = [sysconfig.get_config_var("WHEEL_PKG_DIR") or ""]
    spec = importlib.util.find_spec("ensurepip")
    if spec is not None and spec.origin:
        folders.append(os.path.join(os.path.dirname(spec.origin), "_bundled"))
    return sorted(path for folder in folders if folder for path in glob.glob(os.path.join(folder, "pip-*.whl")))


def download(
    words: list[str],
    folder: str,
    fit: tags.Fit,
    *,
    keep: Iterable[tuple[str, str]] = (),
    options: Iterable[str] = (),
    say: Callable[[str], None],
) -> list[str]:
    """Download everything that ``words`` need into folder; gives the wheels' names.

    ``keep``: (name, version) of what is installed there and should stay as it is if that can be. Raises NoWheel, EnvFailed.
    """
    pip = find_pip()
    pins = os.path.join(folder, "constraints.txt")
    kept = [f"{name}=={version}\n" for name, version in keep if re.fullmatch(r"[0-9][A-Za-z0-9.+!]*", version)]
    arguments = [*_arguments(folder, fit), *options, *words]
    if kept:
        with open(pins, "w", encoding="utf-8") as file:
            file.writelines(kept)
        code, text = _run(pip, [*arguments, "-c", pins], fit, say)
        os.unlink(pins)
        if code == 0:
            return wheels_in(folder)
        error = explain(text, fit)
        if unreached(text) is not None or (
            isinstance(error, NoWheel) and tags.requirement_name(error.details["package"]) not in _names(kept)
        ):
            raise error
        say("what is installed there does not fit what is asked for: resolving anew")
        for name in wheels_in(folder):
            os.unlink(os.path.join(folder, name))
    code, text = _run(pip, arguments, fit, say)
    if code != 0:
        raise explain(text, fit)
    return wheels_in(folder)


def download_or_build(
    words: list[str], folder: str, fit: tags.Fit, *, say: Callable[[str], None], **more: Any
) -> list[str]:
    """The same, but a package without a wheel is built here, if what comes out runs anywhere. Raises NoWheel, EnvFailed.

    Building runs the package's own code here, so it is done only when it was asked for.
    """
    options, built = list(more.pop("options", ())), os.path.join(folder, "built")
    os.makedirs(built)
    seen: set[str] = set()
    while True:
        try:
            found = download(words, folder, fit, options=[*options, f"--find-links={built}"], say=say, **more)
        except NoWheel as error:
            package = error.details["package"]
            if package in seen:
                raise
            seen.add(package)
            _build(package, built, options, fit, say)
        else:
            shutil.rmtree(built)
            return found


def _build(package: str, folder: str, options: list[str], fit: tags.Fit, say: Callable[[str], None]) -> None:
    say(f"building {package} here")
    words = ["wheel", "--no-deps", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    code, text = _run(find_pip(), [*words, f"--wheel-dir={folder}", *options, package], None, say)
    if code != 0:
        raise explain(text, fit)
    for name in wheels_in(folder):
        if not name.endswith("-any.whl"):
            os.unlink(os.path.join(folder, name))
            raise NoWheel(
                f"{package} has compiled parts: what is built here does not run on {fit.describe()}",
                hint="build its wheel on a system like that one, and name its folder: --pip=--find-links=FOLDER",
                package=package,
            )


def _names(pins: list[str]) -> set[str]:
    return {tags.requirement_name(pin) for pin in pins}


def wheels_in(folder: str) -> list[str]:
    """Give the names of the wheels in a folder."""
    return sorted(name for name in os.listdir(folder) if name.endswith(".whl"))


def _arguments(folder: str, fit: tags.Fit) -> list[str]:
    words = ["download", "--dest", folder, "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    words += ["--progress-bar=off", "--implementation=cp", f"--python-version={_plain(fit.version)}"]
    words += [f"--platform={platform}" for platform in tags.platforms(fit)]
    return words + [f"--abi={abi}" for abi in tags.abis(fit)]


def _plain(version: str) -> str:
    """Give "3.14.0" of "3.14.0rc2": pip takes numbers only."""
    found = re.match(r"\d+\.\d+(\.\d+)?", version)
    return found.group() if found else version


def _run(pip: tuple[str, str], words: list[str], fit: tags.Fit | None, say: Callable[[str], None]) -> tuple[int, str]:
    """Run pip for a place, or for here (no ``fit``); gives its status and all that it said."""
    python, wheel = pip
    values = json.dumps(tags.markers(fit) if fit else None)
    argv = [python, "-c", _DRIVER, wheel, values, *words]
    # A pip of its own kind of environment: a target folder or a user install would contradict the download.
    env = {key: value for key, value in os.environ.items() if key not in ("PIP_TARGET", "PIP_USER", "PIP_PREFIX")}
    env.update(PYTHONSAFEPATH="1", PYTHONWARNINGS="ignore", PIP_REQUIRE_VIRTUALENV="0")
    said: list[str] = []
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            said.append(line)
            if line.startswith(("Collecting", "  Downloading", "ERROR")):
                say(line.rstrip())
            elif "Retry(total=" in line and not any("Retry(total=" in each for each in said[:-1]):
                say("an index does not answer, pip tries it again")
        code = child.wait()
    return code, "".join(said)


def explain(text: str, fit: tags.Fit) -> EnvFailed | NoWheel:
    """Make the error of what pip said when it failed."""
    found = _MISSING.findall(text)
    reason = unreached(text)
    if found and reason is not None:
        return EnvFailed(
            f"no wheel of {found[-1]} was found, and an index could not be asked: {reason}",
            hint="check the network and pip's settings here, name a folder of wheels (--pip=--no-index "
            "--pip=--find-links=FOLDER), or let pip there use the network there (--direct)",
        )
    if found:
        return NoWheel(
            f"no wheel of {found[-1]} fits {fit.describe()}",
            hint="ask for another version, make the environment with another Python, let it be built here "
            "(--build), or name a folder that has one: --pip=--find-links=FOLDER",
            package=found[-1],
        )
    errors = [line.strip() for line in text.splitlines() if line.startswith("ERROR")]
    last = errors[0] if errors else (text.strip().splitlines() or ["no word of why"])[-1]
    return EnvFailed(f"pip here could not resolve it: {last}", hint="the lines above say what it tried")


def unreached(text: str) -> str | None:
    """Give why an index could not be asked, in pip's last words about it; None when each was."""
    found = _UNREACHED.findall(text)
    return next(word for word in found[-1] if word) if found else None


def pip_wheel(folder: str, fit: tags.Fit, *, say: Callable[[str], None]) -> str:
    """Put a pip that runs on the Python there into folder; gives the wheel's name. Raises NoWheel, EnvFailed.

    First what this Python brings, which needs no network here either.
    """
    for path in reversed(bundled_pips()):
        if tags.allows(_requires_python(path), fit.version):
            shutil.copy(path, folder)
            return os.path.basename(path)
    before = set(wheels_in(folder))
    code, text = _run(find_pip(), [*_arguments(folder, fit), "--no-deps", "pip"], fit, say)
    new = [name for name in wheels_in(folder) if name not in before]
    if code != 0 or not new:
        raise explain(text, fit)
    return new[0]


def _requires_python(wheel: str) -> str:
    with zipfile.ZipFile(wheel) as file:
        name: Any = next(name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        for line in file.read(name).decode("utf-8", "replace").splitlines():
            if line.startswith("Requires-Python:"):
                return line.partition(":")[2].strip()
    return ""
