"""What a sync has to tell about itself: plain data, made from the picture at one moment. No I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from afield.files.faults import show

if TYPE_CHECKING:
    from afield.errors import AfieldError
    from afield.sync.cycle import Report
    from afield.sync.picture import Picture
    from afield.sync.side import Side

# A listing in a status is for people; the counts are exact.
LISTED = 50


@dataclass(frozen=True)
class SideStatus:
    """One side. ``watch``: inotify, polling, both or "" (not watching)."""

    root: str
    entries: int
    watch: str
    unwatched: int
    lost: str | None
    unreadable: list[list[str]]
    ignored_files: int
    ignored_bytes: int
    ignored_biggest: list[list[Any]]


@dataclass(frozen=True)
class Status:
    """``state``: closed, opening, first, live, busy, paused, waiting or guard; ``reason`` says why it is not live.

    ``mode`` holds where none of ``rules`` ([list, pattern]) does. ``clock``: seconds that the one there is surely ahead.
    """

    state: str
    reason: str | None
    hint: str | None
    mode: str
    rules: list[list[str]]
    agreed: int
    pending: int
    conflicts: list[dict[str, str]]
    conflicts_total: int
    problems: list[dict[str, Any]]
    problems_total: int
    cycles: int
    last_cycle: dict[str, Any] | None
    here: SideStatus
    there: SideStatus
    clock: float
    notes: list[str] = field(default_factory=list)

    def to_value(self) -> dict[str, Any]:
        """As plain maps and lists, for --json."""
        return asdict(self)


def side_status(side: Side) -> SideStatus:
    """The status of one side."""
    ignored = side.ignored
    root = side.opened.root if side.opened is not None else side.root
    return SideStatus(
        root=show(root),
        entries=len(side.tree),
        watch=side.watch_mode,
        unwatched=int((side.limited or {}).get("unwatched", 0)),
        lost=side.lost.text if side.lost is not None else None,
        unreadable=[[show(path), text] for path, text in sorted(side.unreadable.items())[:LISTED]],
        ignored_files=int(ignored.get("files", 0)),
        ignored_bytes=int(ignored.get("bytes", 0)),
        ignored_biggest=[[show(path), size] for path, size in ignored.get("largest", [])],
    )


def status(
    picture: Picture,
    *,
    state: str,
    reason: AfieldError | None,
    cycles: int,
    last: tuple[float, float, Report] | None,
    notes: list[str],
) -> Status:
    """The whole. ``last``: (seconds since, seconds it took, report) of the last cycle that did something."""
    problems = picture.problems.visible()
    conflicts = [picture.conflicts[path] for path in sorted(picture.conflicts)]
    return Status(
        state=state,
        reason=reason.text if reason is not None else None,
        hint=reason.hint if reason is not None else None,
        mode=picture.mode if isinstance(picture.mode, str) else picture.mode.mode,
        rules=[] if isinstance(picture.mode, str) else picture.mode.listed,
        agreed=len(picture.rows),
        pending=len(picture.pending | picture.here.changed | picture.there.changed),
        conflicts=[{"path": show(c.path), "kind": c.kind} for c in conflicts[:LISTED]],
        conflicts_total=len(conflicts),
        problems=[
            {"side": p.side, "path": show(p.path), "code": p.code, "text": p.text, "hint": p.hint, "tries": p.tries}
            for p in problems[:LISTED]
        ],
        problems_total=len(problems),
        cycles=cycles,
        last_cycle=None if last is None else {"ago": last[0], "took": last[1], **last[2]._asdict()},
        here=side_status(picture.here),
        there=side_status(picture.there),
        clock=picture.ahead,
        notes=list(notes),
    )
