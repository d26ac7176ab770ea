"""What `afield doctor` says: rows of name, state, text and hint, made of what was asked at the place. Pure.

States: ``ok``; ``warn``: works, with a loss that the text names; ``fail``: something that was asked for does not work.
What must not go in: asking (api_doctor), and how a face shows rows.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from afield.daemon.way import AUTO, SAME, STAND_IN, TRANSLATED, TWIN

# Bytes: an environment with a deep-learning framework takes 5 GB; less than this and a sync may stop in the middle.
DISK_WARN: Final = 2_000_000_000
DISK_FAIL: Final = 100_000_000
QUOTA_WARN: Final = 0.95
# What a sync that nothing stops says of itself, in words for the row.
_AT_WORK: Final = {"opening": "starting", "first": "the first sync is under way", "live": "live", "busy": "live, busy"}
# Seconds: what clocks that follow a time server differ by, and what builds by time stamps notice.
CLOCK_WARN: Final = 2.0

# Measured with 88 checks of real tools (docs/explanation/same-paths.md).
COSTS: Final = {
    TWIN: (),
    SAME: (),
    TRANSLATED: (
        "coverage that is measured there and reported here",
        "a debug adapter that runs here, and debugging of child processes",
        "environments made on the interpreter: virtualenv, uv, tox, nox, poetry, hatch",
        "Neovim's Python provider, the PyCharm console and its test runner's links",
        "files with paths in them (pickles, databases): they name the paths there",
    ),
}


class Row(NamedTuple):
    """One line of the report."""

    name: str
    state: str
    text: str
    hint: str | None = None

    def value(self) -> dict[str, Any]:
        """Give it as a plain value."""
        return {**self._asdict()}


def link(place: str, latency_ms: float | None, connect_ms: float | None) -> Row:
    """Say that the link is up."""
    took = f", login {connect_ms / 1000:.1f} s" if connect_ms is not None else ""
    away = f", {latency_ms:.1f} ms away" if latency_ms is not None else ""
    return Row("link", "ok", f"{place}{away}{took}")


def login(facts: dict[str, Any]) -> Row:
    """Say who we are there."""
    return Row("login", "ok", f"{facts.get('user') or facts.get('uid')} on {facts.get('host')}")


def agent_python(facts: dict[str, Any]) -> Row:
    """Say which Python carries the agent."""
    python = facts.get("python") or {}
    return Row("python", "ok", f"{python.get('version')} carries the agent ({_path(python.get('path'))})")


def way(name: str | None, wanted: str, reasons: dict[str, str], error: str | None) -> list[Row]:
    """Say which way is in use, why not a better one, and what is lost by it."""
    if error is not None or name is None:
        return [Row("paths", "fail", error or "not found out", 'write way = "auto" in afield.toml')]
    if name == TWIN:
        return [Row("paths", "ok", "twin: every path is the same on both sides")]
    hint = None
    if reasons.get(TWIN):
        hint = _twin_hint(reasons[TWIN])
    elif wanted == name != AUTO:
        hint = 'afield.toml asks for it; way = "auto" takes the best'
    why = f"; no twin: {reasons[TWIN]}" if reasons.get(TWIN) else ""
    rows = [Row("paths", "ok", f"{name}{why}") if name == SAME else Row("paths", "warn", f"{name}{why}", hint)]
    if name == SAME and reasons.get(STAND_IN):
        lost = "tools here that start what sys.executable names: makers of environments, type checkers, debuggers"
        rows.append(Row("lost", "warn", f"{lost} ({reasons[STAND_IN]})"))
    if name == TRANSLATED and reasons.get(SAME, "").startswith("possible"):
        rows.append(Row("paths", "warn", f"the same path is {reasons[SAME]}", "choose it before the first sync"))
    return rows + [Row("lost", "warn", text) for text in COSTS[name]]


def _twin_hint(why: str) -> str:
    if "apparmor" in why:
        return "an administrator can allow it: sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    if "unprivileged_userns_clone" in why:
        return "an administrator can allow it: sysctl kernel.unprivileged_userns_clone=1"
    if "namespaces = 0" in why:
        return "an administrator can allow it: sysctl user.max_user_namespaces=10000"
    if "seccomp" in why:
        return "in a container: docker run --security-opt seccomp=unconfined, or --cap-add SYS_ADMIN"
    return "use a project folder whose path can be shown there"


def disks(facts: dict[str, Any]) -> list[Row]:
    """Say how much room there is, and how much of the quota is used."""
    rows = []
    for disk in facts.get("disks") or ():
        free = int(disk.get("free") or 0)
        state = "fail" if free < DISK_FAIL else "warn" if free < DISK_WARN else "ok"
        hint = None if state == "ok" else "make room, or choose another folder there"
        rows.append(
            Row("disk", state, f"{free / 1e9:.1f} GB free in {_path(disk.get('path'))} ({disk.get('fs')})", hint)
        )
    quota = facts.get("quota") or {}
    limit = quota.get("hard") or quota.get("soft")
    if limit:
        used = int(quota.get("used") or 0)
        state = "fail" if used >= limit else "warn" if used >= QUOTA_WARN * limit else "ok"
        hint = None if state == "ok" else "remove something there, or ask for more"
        rows.append(Row("quota", state, f"{used / 1e9:.1f} of {limit / 1e9:.1f} GB used", hint))
    return rows


def clock(skew: float) -> Row:
    """Say how the clocks differ; skew is theirs minus ours, in seconds."""
    if abs(skew) < CLOCK_WARN:
        return Row("clock", "ok", f"{abs(skew):.1f} s apart")
    word = "ahead of" if skew > 0 else "behind"
    return Row(
        "clock", "warn", f"the clock there is {abs(skew):.0f} s {word} the one here", "set both by a time server"
    )


def sync(entry: dict[str, Any] | None, problem: str | None = None) -> list[Row]:
    """Say how the sync stands and how changes are noticed on both sides; ``problem``: why it is not up, or not as afield.toml says."""
    rows = [Row("sync", "warn", problem)] if problem else []
    if entry is None:
        return rows or [Row("sync", "ok", "not up", "start it with: afield up")]
    total = entry.get("conflicts_total") or 0
    state = str(entry.get("state"))
    if state not in _AT_WORK:
        why = f"{state}: {entry['why']}" if entry.get("why") else state
        rows.append(Row("sync", "fail" if state == "guard" else "warn", why, entry.get("hint")))
    elif entry.get("problems_total"):
        rows.append(Row("sync", "warn", f"{entry['problems_total']} paths with a problem", "afield status"))
    elif total:
        rows.append(Row("sync", "warn", f"{total} conflicts", "afield conflicts"))
    else:
        rows.append(Row("sync", "ok", _AT_WORK[state]))
    for side, mode in (entry.get("watch") or {}).items():
        missing = (entry.get("unwatched") or {}).get(side) or 0
        if missing:
            hint = f"raise fs.inotify.max_user_watches {side}"
            rows.append(
                Row("watch", "warn", f"{side}: {missing} folders have no watch and are looked at in turns", hint)
            )
        elif mode == "both":
            text = f"{side}: inotify, and looked at in turns: what other machines write on this file system is noticed later"
            rows.append(Row("watch", "ok", text))
        elif mode and mode != "inotify":
            rows.append(Row("watch", "warn", f"{side}: {mode}; changes are noticed later"))
        else:
            rows.append(Row("watch", "ok", f"{side}: {mode or 'starting'}"))
    return rows


def environment(env: dict[str, Any] | None, wanted: str | None, error: str | None) -> list[Row]:
    """Say which environment is in use and whether notebooks and the debugger find what they need in it."""
    if error is not None:
        return [Row("env", "fail", error, "afield env list")]
    if env is None:
        text = f"{wanted} (python =)" if wanted else "none chosen: the first python3 there"
        return [Row("env", "ok", text, None if wanted else "choose one with: afield env use NAME")]
    rows = [Row("env", "ok", f"{env['name']}, {env['kind']}, Python {env['version']}, {env['packages']} packages")]
    for package, use in (("ipykernel", "notebooks need"), ("debugpy", "the debugger needs")):
        if env.get(package):
            rows.append(Row(package, "ok", str(env[package])))
        else:
            rows.append(Row(package, "warn", f"missing: {use} it", f"afield env install {package}"))
    return rows


def mirror(made: bool) -> Row:
    """Say whether tools here that read the files of packages themselves find any."""
    if made:
        return Row("mirror", "ok", "packages there have their sources here")
    text = "none: type checkers, goto and `uv pip list` here read files of packages, and see none"
    return Row("mirror", "ok", text, "make one with: afield mirror sync")


def git(here: bool, there: bool, wanted: bool) -> Row:
    """Say whether commits can be carried."""
    missing = [side for side, has in (("here", here), ("there", there)) if not has]
    if not missing:
        return Row("git", "ok", "on both sides")
    state = "fail" if wanted else "warn"
    return Row("git", state, f"no git {' and '.join(missing)}", "install git, or leave sync.git off")


def versions(here: str, python: str, shim: bool) -> Row:
    """Say which releases work together; the agent is always of the same one."""
    return Row("afield", "ok", f"{here} on Python {python}" + ("" if shim else ", no shims here yet"))


def _path(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else str(value)
