"""Which wheels fit a place: platform tags, ABIs and the values of environment markers. Pure.

Sources: PEP 425 (tags), PEP 600 (manylinux_X_Y: fits any glibc from X.Y on), PEP 656 (musllinux), PEP 508 (markers).
"""

from __future__ import annotations

import re
from typing import NamedTuple

# The names that manylinux had before PEP 600, by the glibc they stand for.
_OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# The oldest glibc that wheels are built for, by machine; others began with manylinux2014.
_OLDEST = {"x86_64": 5, "i686": 5}
# musl keeps its ABI; these are the versions that wheels were built against.
_MUSL = (2, 1)


class Fit(NamedTuple):
    """What a wheel must fit: ``version`` "3.11.7", ``machine`` "x86_64", ``libc`` "glibc 2.36" or "musl", ``system`` "Linux"."""

    version: str
    machine: str
    libc: str | None
    system: str = "Linux"

    @property
    def short(self) -> tuple[int, int]:
        """Major and minor."""
        numbers = [int(part) for part in re.findall(r"\d+", self.version)[:2]]
        return (numbers[0], numbers[1]) if len(numbers) == 2 else (3, 0)

    def describe(self) -> str:
        """Say it to a person."""
        return (
            f"Python {'.'.join(map(str, self.short))} on {self.system} {self.machine} ({self.libc or 'unknown libc'})"
        )


def platforms(fit: Fit) -> list[str]:
    """Give the platform tags, best first; only ``any`` wheels fit when the C library is not known."""
    machine = fit.machine
    if fit.libc == "musl":
        return [f"musllinux_1_{minor}_{machine}" for minor in _MUSL]
    match = re.fullmatch(r"glibc (\d+)\.(\d+).*", fit.libc or "")
    if match is None or int(match.group(1)) != 2:
        return [f"linux_{machine}"]
    found = []
    for minor in range(int(match.group(2)), _OLDEST.get(machine, 17) - 1, -1):
        found.append(f"manylinux_2_{minor}_{machine}")
        if minor in _OLD_NAMES:
            found.append(f"{_OLD_NAMES[minor]}_{machine}")
    return [*found, f"linux_{machine}"]


def abis(fit: Fit) -> list[str]:
    """Give the ABI tags of CPython; before 3.8 they end in m."""
    major, minor = fit.short
    return [f"cp{major}{minor}{'m' if (major, minor) < (3, 8) else ''}", "abi3", "none"]


def markers(fit: Fit) -> dict[str, str]:
    """Give what a requirement's markers see there."""
    major, minor = fit.short
    return {
        "implementation_name": "cpython",
        "implementation_version": fit.version,
        "os_name": "posix",
        "platform_machine": fit.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": fit.system,
        "platform_version": "",
        "python_full_version": fit.version,
        "python_version": f"{major}.{minor}",
        "sys_platform": fit.system.lower(),
    }


def normalise(name: str) -> str:
    """Give the name by which packages are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wheel_name(file: str) -> tuple[str, str]:
    """Give (name, version) of a wheel's file name (PEP 427)."""
    name, _, rest = file.partition("-")
    return name, rest.partition("-")[0]


def requirement_name(text: str) -> str:
    """Give the normalised name that a requirement begins with; "" when it begins with none (an option, a path)."""
    match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[|[<>=!~;@ ,(]|$)", text)
    return normalise(match.group(1)) if match else ""


def allows(requires: str, version: str) -> bool:
    """Tell whether a simple ``Requires-Python`` (">=3.7, !=3.9.0") holds for a version; unknown clauses do not count."""
    given = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    for clause in requires.split(","):
        match = re.fullmatch(r"\s*(>=|<|!=)\s*([0-9.]+?)(\.\*)?\s*", clause)
        if match is None:
            continue
        bound = tuple(int(part) for part in match.group(2).split("."))
        same = given[: len(bound)] == bound
        if (
            (match.group(1) == ">=" and given < bound)
            or (match.group(1) == "<" and given >= bound)
            or (match.group(1) == "!=" and same)
        ):
            return False
    return True
