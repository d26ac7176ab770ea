"""Why a path is as it is: what stands on both sides, what was agreed on, what decides, what would happen next. Looks, never acts.

The state is one word for programs; faces make the sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.sync import cycle
from afield.sync.together import together
from afield.sync.versions import described

if TYPE_CHECKING:
    from afield.sync.picture import Picture
    from afield.sync.session import Session
    from afield.sync.side import Side
    from afield.tree.entries import Node
    from afield.tree.reconcile import Change

# The last things that happened to a path; `afield history PATH` has them all.
EVENTS = 5


async def why(session: Session, path: bytes) -> dict[str, Any]:
    """Give ``state`` and what it rests on. Raises LinkLost and the like.

    ``state``: ignored, absent, unreadable, conflict, problem, pending (it goes to ``next``), left (the mode lets the sides
    differ), same.
    """
    picture = session.picture
    async with session._lock:
        await together(picture.here.rescan([path]), picture.there.rescan([path]))
        paths = {path}
        picture.pending |= paths
        rules = await together(rule_of(picture.here, path), rule_of(picture.there, path))
        unknown = await cycle.hash_undecided(picture, paths)
        found = cycle.decide(picture, paths, unknown)
        events = await session.history(path, EVENTS)
        picture.pending |= paths
    told = facts(picture, path)
    told["rules"] = dict(zip(("here", "there"), rules, strict=True))
    for side, rule in told["rules"].items():
        if told[side] is None and rule["ignored"] and rule.get("kind"):
            # What is left out is not in the picture, and yet it stands there.
            told[side] = {name: rule.get(name) for name in ("kind", "executable", "size", "mtime")}
    told["next"] = [_step("here", change) for change in found.to_here if change.path == path]
    told["next"] += [_step("there", change) for change in found.to_there if change.path == path]
    told["conflict"] = next((conflict.kind for conflict in found.conflicts if conflict.path == path), None)
    told["sync"] = {"state": session.state, "why": session.reason.text if session.reason is not None else None}
    told["history"] = [
        {"time": event.time, "side": event.side, "action": event.action, "size": event.size, "id": event.id}
        for event in events
        if event.path == path
    ]
    told["state"] = state_of(told)
    return told


async def rule_of(side: Side, path: bytes) -> dict[str, Any]:
    """What the rules of a side say of a path (verb ``explain``)."""
    found = await side.asked().request("explain", {"path": path})
    return dict(found)


def facts(picture: Picture, path: bytes) -> dict[str, Any]:
    """What is known of a path, as plain values."""
    here, there, row = picture.here.tree.get(path), picture.there.tree.get(path), picture.rows.get(path)
    mode: Any = picture.mode
    base = None if row is None else {"kind": row.node.kind, "executable": bool(row.node.executable)}
    if row is not None and base is not None and row.node.kind == "f":
        base.update(size=row.here.size, mtime=row.here.mtime_ns / 1e9)
    return {
        "path": path,
        "mode": str(mode(path)) if callable(mode) else str(mode),
        "here": None if here is None else described(here),
        "there": None if there is None else described(there),
        "base": base,
        "changed": changed(
            None if row is None else row.node,
            None if here is None else here.node,
            None if there is None else there.node,
        ),
        "unreadable": [side.name for side in (picture.here, picture.there) if side.hidden(path)],
        "problems": [
            {"side": problem.side, "text": problem.text, "hint": problem.hint}
            for problem in picture.problems.visible()
            if problem.path == path
        ],
    }


def changed(base: Node | None, here: Node | None, there: Node | None) -> str | None:
    """Which side changed since both agreed: here, there, both, or None."""
    one, other = here != base, there != base
    if one and other:
        return "both"
    return "here" if one else "there" if other else None


def state_of(told: dict[str, Any]) -> str:
    """The one word; the first that fits."""
    if any(rule["ignored"] for rule in told["rules"].values()):
        return "ignored"
    if told["here"] is None and told["there"] is None and told["base"] is None:
        return "absent"
    for name, state in (("unreadable", "unreadable"), ("conflict", "conflict"), ("problems", "problem")):
        if told[name]:
            return state
    if told["next"]:
        return "pending"
    return (
        "left" if (told["here"] is None) != (told["there"] is None) or told["changed"] in ("here", "there") else "same"
    )


def _step(side: str, change: Change) -> dict[str, str]:
    if change.new is None:
        action = "remove"
    elif change.old is None:
        action = "add"
    else:
        action = "replace"
    return {"side": side, "action": action}
