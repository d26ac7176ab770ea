"""Plain values → text for people. Pure: no clock, no terminal, no files; the status page is in render_status.py.

Names that came from a place are made printable here, so that none can drive the terminal.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from afield.cli.render_status import status_text
from afield.cli.terminal import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "config_text",
    "copied_text",
    "facts_line",
    "facts_text",
    "forwards_text",
    "listing_text",
    "plan_text",
    "processes_text",
    "size",
    "status_text",
    "synced_text",
    "table",
    "up_text",
]


def size(count: float) -> str:
    """Give bytes as people read them: 1.5 GB (powers of 1000)."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 999.5 or unit == "TB":
            return f"{number:.0f} {unit}" if unit == "B" or number >= 99.5 else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError


def plural(count: int, word: str) -> str:
    """Give ``1 file`` or ``2 files``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def table(rows: Iterable[Iterable[Any]], *, gap: str = "  ") -> str:
    """Give rows as columns of equal width."""
    texts = [[one_line(str(cell)) for cell in row] for row in rows]
    if not texts:
        return ""
    widths = [max(len(row[i]) for row in texts if i < len(row)) for i in range(max(map(len, texts)))]
    return "\n".join(
        gap.join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in texts
    )


def up_text(project: str, machine: str, done: dict[str, Any]) -> str:
    """What `afield up` did."""
    first = done.get("sync") or {}
    place = str(done.get("place") or machine)
    named = machine if place == machine else f"{machine} ({place})"
    lines = [f"{project} is up on {named}, in {done.get('folder', '')} there"]
    if first:
        lines.append(synced_text(first))
    return "\n".join(lines)


def synced_text(done: dict[str, Any]) -> str:
    """What one sync did: counts of what was applied on each side."""
    there, here = int(done.get("there") or 0), int(done.get("here") or 0)
    parts = []
    if there:
        parts.append(f"{plural(there, 'change')} went there")
    if here:
        parts.append(f"{plural(here, 'change')} came here")
    text = ", ".join(parts) or ("it was up already" if done.get("already") else "both sides agree")
    if done.get("bytes"):
        text += f" ({size(done['bytes'])})"
    conflicts = done.get("conflicts") or 0
    count = conflicts if isinstance(conflicts, int) else len(conflicts)
    if count:
        text += f"; {plural(count, 'conflict')}: see `afield conflicts`"
    problems = done.get("problems") or 0
    count = problems if isinstance(problems, int) else len(problems)
    if count:
        text += f"; {plural(count, 'problem')}: see `afield status`"
    return text


_ARROWS = {"there": "→", "here": "←", "conflict": "!"}


def plan_text(done: dict[str, Any]) -> str:
    """The steps that a sync would take, one a line."""
    plan = done.get("plan") or []
    if not plan:
        return "nothing to do: both sides agree"
    return table(
        [_ARROWS.get(str(item.get("to") or item.get("side")), "?"), item.get("action", ""), item.get("path", "")]
        for item in plan
    )


def moment(seconds: float) -> str:
    """A time of the local clock, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def listing_text(entries: list[Any], *, long: bool) -> str:
    """Entries as `ls` gives them."""
    rows = []
    for entry in entries:
        item = entry if isinstance(entry, dict) else {}
        name = str(item.get("name", "")) + ("/" if item.get("kind") == "d" else "")
        if long:
            target = f" -> {item['target']}" if item.get("target") else ""
            rows.append([_mode(item), str(item.get("size", "")), moment(item.get("mtime") or 0), name + target])
        else:
            rows.append([name])
    return table(rows)


def _mode(item: dict[str, Any]) -> str:
    bits = int(item.get("mode") or 0)
    letters = "".join(letter if bits & (1 << (8 - i)) else "-" for i, letter in enumerate("rwxrwxrwx"))
    return {"d": "d", "l": "l", "f": "-"}.get(str(item.get("kind")), "?") + letters


def copied_text(done: dict[str, Any], target: str) -> str:
    """What get or put copied."""
    return f"{plural(int(done.get('files', 1)), 'file')}, {size(done.get('bytes') or 0)} → {printable(target)}"


def forwards_text(found: list[dict[str, Any]]) -> str:
    """What is carried."""
    if not found:
        return "nothing is carried"
    return "\n".join(
        f"{item['id']}: {printable(str(item['local']))} here {'←' if item.get('reverse') else '→'} {printable(str(item['remote']))} there"
        for item in found
    )


def facts_line(facts: dict[str, Any]) -> str:
    """The place in one line."""
    pythons = facts.get("pythons") or []
    memory = facts.get("memory") or {}
    parts = [
        f"{facts.get('user')}@{facts.get('host')}",
        str(facts.get("os") or ""),
        plural(int(facts.get("cpus") or 0), "CPU"),
    ]
    if memory.get("total"):
        parts.append(size(memory["total"]))
    if pythons:
        parts.append("Python " + ", ".join(sorted({str(item.get("version")) for item in pythons})))
    gpus = facts.get("gpus") or []
    if gpus:
        parts.append(plural(len(gpus), "GPU"))
    return printable(", ".join(part for part in parts if part))


def facts_text(facts: dict[str, Any]) -> str:
    """The place in full."""
    memory = facts.get("memory") or {}
    rows = [
        ["user", f"{facts.get('user')} ({facts.get('uid')}), home {facts.get('home')}, shell {facts.get('shell')}"],
        ["host", str(facts.get("host"))],
        [
            "system",
            f"{facts.get('os')}, {facts.get('kernel')}, {facts.get('machine')}, {facts.get('libc') or 'unknown libc'}",
        ],
        ["processors", f"{facts.get('cpus')}, load {' '.join(f'{number:.2f}' for number in facts.get('load') or [])}"],
        ["memory", f"{size(memory.get('available') or 0)} free of {size(memory.get('total') or 0)}"],
    ]
    rows += [
        [
            "disk",
            f"{disk.get('path')}: {size(disk.get('free') or 0)} free of {size(disk.get('total') or 0)}, {disk.get('fs')}",
        ]
        for disk in facts.get("disks") or []
    ]
    rows += [["python", f"{python.get('version')}  {python.get('path')}"] for python in facts.get("pythons") or []]
    rows += [
        [
            "gpu",
            f"{gpu.get('name')}, {size(gpu.get('memory_used') or 0)} of {size(gpu.get('memory_total') or 0)} used, {gpu.get('utilization')} % busy",
        ]
        for gpu in facts.get("gpus") or []
    ]
    return table(rows)


def processes_text(found: list[dict[str, Any]], *, hidden: int = 0) -> str:
    """What runs there; ``hidden``: how many that ended are left out."""
    if not found:
        return "nothing runs there" + (f" ({hidden} ended: --all)" if hidden else "")
    rows = [["id", "pid", "state", "started", "command"]]
    rows += [
        [str(item.get("id"))[:12], str(item.get("pid")), _state(item), moment(item.get("started") or 0), _command(item)]
        for item in found
    ]
    return table(rows)


def _state(item: dict[str, Any]) -> str:
    told = item.get("exit")
    if not isinstance(told, dict):
        return str(item.get("state"))
    return f"killed by {told['killed']}" if "killed" in told else f"exited {told.get('exit')}"


def _command(item: dict[str, Any]) -> str:
    words = [
        word if isinstance(word, str) else bytes(word).decode("utf-8", "backslashreplace")
        for word in item.get("argv") or []
    ]
    return " ".join(words)[:80] or "(a login shell)"


def toml_word(value: Any) -> str:
    """Give a value as afield.toml has it, a text without its quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(json.dumps(str(item), ensure_ascii=False) for item in value) + "]"
    if isinstance(value, dict):
        items = (
            f"{key} = {toml_word(item) if isinstance(item, list | tuple) else json.dumps(item, ensure_ascii=False)}"
            for key, item in value.items()
        )
        return "{ " + ", ".join(items) + " }"
    return str(value)


def config_text(folder: str, machine: str, rows: list[dict[str, Any]]) -> str:
    """Every setting, where it comes from and what it is for."""
    shown = [["setting", "value", "from"]]
    shown += [
        [row["key"], "-" if row["value"] in (None, [], {}) else toml_word(row["value"]), row["from"]] for row in rows
    ]
    return f"{folder}, machine {machine}\n\n{table(shown)}"
