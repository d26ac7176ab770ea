"""What the mirror command prints. Pure."""

from __future__ import annotations

import time
from typing import Any

from afield.cli.render import plural
from afield.cli.render import size as amount

_NAMED = 10


def synced_text(done: dict[str, Any]) -> str:
    """Say what a sync did."""
    what = f"Python {done['python']} of {done['prefix']}"
    if not done["changed"] and not done["removed"]:
        return f"{what}: nothing changed, {plural(done['files'], 'file')} here ({done['seconds']:.1f} s)"
    return (
        f"{what}: {done['changed']} packages and modules came or changed, {done['removed']} went; "
        f"{plural(done['files'], 'file')} here, {amount(done['bytes'])}\n"
        f"fetched {plural(done['fetched'], 'file')}, {amount(done['fetched_bytes'])}; the rest was here already ({done['seconds']:.1f} s)"
    )


def status_text(told: dict[str, Any], now: float | None = None) -> str:
    """Say what is here."""
    store = told["store"]
    foot = f"store: {plural(store['files'], 'content')}, {amount(store['bytes'])}, {store['folder']}"
    mirror = told["mirror"]
    if mirror is None:
        return f"no mirror here; make it with: afield mirror sync\n{foot}"
    age = max(0.0, (time.time() if now is None else now) - mirror["time"])
    lines = [
        f"Python {mirror['python']} of {mirror['prefix']} on {mirror['machine']}, {ago(age)}",
        f"{plural(mirror['files'], 'file')}, {amount(mirror['bytes'])}",
    ]
    lines += [f"  {root['far']} → {root['here']} ({root['files']})" for root in mirror["roots"] if root["here"]]
    lines += [f"left out, too large: {folder}" for folder in mirror["large"]]
    odd = mirror["odd"]
    lines += [f"not as it was made: .afield/{path}" for path in odd[:_NAMED]]
    if odd:
        lines.append("something wrote into the mirror: `afield mirror sync` puts it right, and nothing of it is there")
    return "\n".join([*lines, foot])


def removed_text(done: dict[str, Any]) -> str:
    """Say what went."""
    if not done["removed"]:
        return "there was no mirror here"
    return (
        f"removed {plural(done['removed'], 'file')}; "
        f"{plural(done['freed_files'], 'content')} that nothing else uses went, {amount(done['freed_bytes'])}"
    )


def ago(seconds: float) -> str:
    """Give a time span for people."""
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {name} ago"
    return "just now" if seconds < 60 else "a minute or more ago"
