"""The daemon's state → the page of `afield status`. Pure: ``now`` comes in."""

from __future__ import annotations

import time
from typing import Any

from afield.cli.terminal import colour, printable

# Less is what clocks that follow a time server differ by, and what make and its kin forgive.
CLOCK_SECONDS = 2.0

_SIGNS = {
    "connected": ("●", "green"),
    "idle": ("○", "dim"),
    "dialing": ("◌", "yellow"),
    "waiting": ("◌", "yellow"),
    "needs-login": ("!", "red"),
    "failed": ("✗", "red"),
}


def status_text(state: dict[str, Any], now: float | None = None) -> str:
    """Give the page: one block a project, then what is carried and what runs."""
    clock = time.time() if now is None else now
    places = state.get("places") or {}
    projects = state.get("projects") or {}
    blocks = [
        _project(project, places.get(str(project.get("place_key"))) or {}, clock) for project in projects.values()
    ]
    used = {str(project.get("place_key")) for project in projects.values()}
    blocks += [_place(place, clock) for key, place in places.items() if key not in used]
    if not blocks:
        blocks = [["nothing is up here; start with: afield up"]]
    lines = [line for block in blocks for line in [*block, ""]]
    lines += (
        _forwards(state.get("forwards") or {})
        + _runs(state.get("runs") or {}, clock)
        + _daemon(state.get("daemon") or {}, clock)
    )
    return "\n".join(lines).rstrip()


def ago(seconds: float) -> str:
    """Give a span as people say it: 5 s, 3 min, 2 h, 4 d."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size * 2:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _project(project: dict[str, Any], place: dict[str, Any], now: float) -> list[str]:
    lines = [colour(printable(f"{project.get('project')} on {project.get('machine')}"), "bold")]
    lines += ["  " + line for line in _place(place, now)]
    lines.append(f"  folder   {printable(str(project.get('folder')))}")
    lines += _environment(project.get("env") or {})
    if project.get("way"):
        lines.append(f"  paths    {printable(_way(project))}")
    sync = project.get("sync") or {}
    if sync or project.get("up"):
        lines += _sync(sync)
    for name, folder in (project.get("folders") or {}).items():
        lines.append("  folder   " + printable(f"{name}: {folder.get('here')} and {folder.get('there')} there"))
        lines += _sync(folder)
    lines += _problems(project.get("problems") or [])
    return lines


def _environment(env: dict[str, Any]) -> list[str]:
    """The environment that runs are in; without one a run takes the Python that it finds there."""
    if not env.get("name"):
        return []
    python = f" ({env['python']})" if env.get("python") else ""
    return [printable(f"  env      {env['name']}{python}")]


def _way(project: dict[str, Any]) -> str:
    """Say how paths are the same on both sides, and why not in a better way."""
    name, reasons = str(project["way"]), project.get("way_reasons") or {}
    if name == "translated":
        why = f" (no twin: {reasons['twin']})" if reasons.get("twin") else ""
        return f"translated{why}; afield doctor says what that costs"
    return {"twin": "twin: the same on both sides", "same": "the same on both sides"}[name]


def _place(place: dict[str, Any], now: float) -> list[str]:
    name = str(place.get("state") or "idle")
    sign, tint = _SIGNS.get(name, ("?", "yellow"))
    word = "reconnecting" if name in ("dialing", "waiting") and place.get("why") else name
    text = f"link     {colour(sign + ' ' + word, tint)}, {printable(str(place.get('place') or '?'))}"
    if place.get("latency_ms") is not None and name == "connected":
        text += f", {place['latency_ms']:.1f} ms away"
    lines = [text]
    if place.get("why"):
        lines.append(f"         {printable(str(place['why']))}")
    if place.get("hint"):
        lines.append(f"         hint: {printable(str(place['hint']))}")
    if place.get("next_try") and name == "waiting":
        lines.append(f"         next try in {ago(place['next_try'] - now)}")
    agent = place.get("agent") or {}
    if agent and name == "connected":
        lines.append(f"agent    {_agent(agent)}")
        count = int(agent.get("jobs") or 0)
        if count:
            lines.append(f"jobs     {count} job{'s' if count > 1 else ''} at work or waiting: afield jobs --all")
    return lines


def _agent(agent: dict[str, Any]) -> str:
    parts = [f"process {agent['pid']}"] if agent.get("pid") else []
    if agent.get("rss"):
        parts.append(f"{agent['rss'] / 1e6:.0f} MB")
    if agent.get("processes") is not None:
        count = int(agent["processes"])
        parts.append(f"{count} process" if count == 1 else f"{count} processes")
    if agent.get("disk") is not None:
        parts.append(f"{agent['disk'] / 1e6:.1f} MB on disk")
    if agent.get("python"):
        parts.append(f"Python {agent['python']}")
    return printable(", ".join(parts))


def _sync(sync: dict[str, Any]) -> list[str]:
    words = [str(sync.get("state") or "?")]
    if sync.get("mode"):
        words.append(str(sync["mode"]) + _patterns(sync.get("rules") or []))
    if sync.get("files") is not None:
        words.append("1 file" if sync["files"] == 1 else f"{sync['files']:,} files")
    lines = [f"  sync     {printable(', '.join(words))}"]
    if sync.get("why"):
        lines.append(f"           {printable(str(sync['why']))}")
    if sync.get("hint"):
        lines.append(f"           hint: {printable(str(sync['hint']))}")
    if abs(sync.get("clock") or 0) >= CLOCK_SECONDS:
        way = "ahead of" if sync["clock"] > 0 else "behind"
        lines.append(f"           the clock there is {ago(abs(sync['clock']))} {way} the one here")
    for side, count in (sync.get("unwatched") or {}).items():
        if count:
            lines.append(
                f"           {count:,} folders {side} have no watch (the system's are used up): looked at in turns"
            )
            lines.append(f"           hint: raise fs.inotify.max_user_watches {side}")
    conflicts = sync.get("conflicts") or []
    count = conflicts if isinstance(conflicts, int) else len(conflicts)
    if count:
        lines.append(colour(f"           {count} in conflict: afield conflicts", "red"))
    # Small and our own folders are noise here; what matters is data that a person may expect to find there.
    biggest = [
        (path, number)
        for path, number in (sync.get("ignored") or {}).get("largest") or []
        if number >= 1e6 and path != ".afield"
    ]
    if biggest:
        named = ", ".join(f"{printable(str(path))} ({number / 1e6:.0f} MB)" for path, number in biggest[:3])
        lines.append(f"           left out: {named}; all: afield ignored")
    lines += _problems(sync.get("problems") or [])
    return lines


def _patterns(rules: list[list[str]]) -> str:
    named = [f"{name} {pattern}" for name, pattern in rules[:3]]
    more = f" and {len(rules) - 3} more" if len(rules) > 3 else ""
    return f" ({', '.join(named)}{more})" if rules else ""


def _problems(problems: list[Any]) -> list[str]:
    lines = []
    for problem in problems[:10]:
        if isinstance(problem, dict):
            text = str(problem.get("text") or problem)
            if problem.get("path") and str(problem["path"]) not in text:
                text = f"{problem['path']}: {text}"
        else:
            text = str(problem)
        lines.append(colour(f"           problem: {printable(text)}", "yellow"))
        if isinstance(problem, dict) and problem.get("hint"):
            lines.append(f"           hint: {printable(str(problem['hint']))}")
    if len(problems) > 10:
        lines.append(f"           and {len(problems) - 10} more")
    return lines


def _forwards(forwards: dict[str, Any]) -> list[str]:
    return [
        f"port     {printable(str(item.get('local')))} here {'←' if item.get('reverse') else '→'} {printable(str(item.get('remote')))} there ({key})"
        for key, item in forwards.items()
    ]


def _runs(runs: dict[str, Any], now: float) -> list[str]:
    return [
        f"runs     {printable(str(item.get('label')))}, {item.get('state')}, for {ago(now - (item.get('since') or now))}"
        for item in runs.values()
    ]


def _daemon(daemon: dict[str, Any], now: float) -> list[str]:
    if not daemon:
        return []
    text = f"daemon   process {daemon.get('pid')}, version {daemon.get('version')}, for {ago(now - (daemon.get('since') or now))}"
    if daemon.get("rss"):
        text += f", {daemon['rss'] / 1e6:.0f} MB"
    return [text]
