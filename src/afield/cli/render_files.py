"""Conflicts, history, reasons, comparisons and trees → text for people. Pure; names are made printable by ``table``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.cli.render import moment, plural, size, table
from afield.cli.terminal import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = {"f": "file", "d": "folder", "l": "link", "o": "special file"}
CONFLICTS = {
    "edit": "both sides changed it",
    "add": "both sides made it",
    "clash": "a file against a folder",
    "other": "a socket, device or the like is in the way",
    "blocked": "holds a socket, device or the like",
}


def conflicts_text(found: list[dict[str, Any]]) -> str:
    """The conflicts, what each side has, and what to do."""
    if not found:
        return "no conflicts"
    rows = [["path", "here", "there", "what"]]
    rows += [
        [_in_folder(item), _version(item.get("here")), _version(item.get("there")), CONFLICTS.get(item["kind"], "?")]
        for item in found
    ]
    return table(rows) + "\n\nlook: afield diff    settle: afield resolve PATH --here, --there, --both or --merge"


def _in_folder(item: dict[str, Any]) -> str:
    """A path, with the further folder of the project that it is in."""
    return f"{item['folder']}: {item['path']}" if item.get("folder") else str(item["path"])


def _version(value: dict[str, Any] | None) -> str:
    if value is None:
        return "deleted"
    words = [KINDS.get(str(value.get("kind")), "?")]
    if value.get("size") is not None:
        words.append(size(value["size"]))
    if value.get("mtime") is not None:
        words.append(moment(value["mtime"]))
    return ", ".join(words)


def settled_text(done: dict[str, Any]) -> str:
    """What became of conflicts."""
    marked, renamed = set(done.get("marked") or ()), {item["path"]: item["to"] for item in done.get("renamed") or ()}
    lines = []
    for path in done.get("settled") or ():
        more = " (with conflict markers: edit it)" if path in marked else ""
        if path in renamed:
            more = f" (the other version is {renamed[path]})"
        lines.append(one_line(f"settled {path}{more}"))
    lines += [one_line(f"open    {item['path']}: {item['why']}") for item in done.get("open") or ()]
    return "\n".join(lines)


def history_text(found: list[dict[str, Any]]) -> str:
    """What was replaced or removed, newest first."""
    if not found:
        return "nothing was replaced or removed"
    rows = [["event", "when", "side", "what", "size", "path"]]
    rows += [
        [
            str(item.get("id", "")),
            moment(item.get("time") or 0),
            str(item.get("side", "")),
            str(item.get("action", "")),
            size(item.get("size") or 0) if item.get("action") in ("replaced", "removed") else "",
            str(item.get("path", "")) + ("/" if item.get("action") == "folder-removed" else ""),
        ]
        for item in found
    ]
    return table(rows)


def restored_text(done: dict[str, Any], *, named: int = 10) -> str:
    """What an undo brought back; of many the first few."""
    found = done.get("restored") or []
    words = {"restored": "took away again"}
    lines = [
        one_line(f"{words.get(str(item.get('action')), 'restored')} {item['path']} ({item['side']})")
        for item in found[:named]
    ]
    if len(found) > named:
        lines.append(f"and {plural(len(found) - named, 'more file')}")
    return "\n".join(lines)


# ---- reasons


def rule_text(rule: dict[str, Any]) -> str:
    """Where the rule stands that decides on a path."""
    text = str(rule["source"])
    if rule.get("rule") is None:
        return printable(text)
    if text.startswith("built-in: "):
        return printable(f"{rule['rule']} (built in: {text[10:]})")
    if not rule["line"]:
        return printable(f"{rule['rule']} ({text})")
    word = "entry" if text in ("settings", "sync.keep-there") else "line"
    place = f"{word} {rule['line']} of {'sync.ignore' if text == 'settings' else text}"
    return printable(f"{rule['rule']} ({place})")


def ignored_text(found: dict[str, Any]) -> str:
    """Which rule leaves a path out."""
    path = one_line(found["path"])
    if not found["ignored"]:
        back = f"; taken back in by {rule_text(found)}" if found.get("rule") is not None else ""
        return printable(f"{path} is not left out{back}")
    above = f", which matches {one_line(found['at'])}" if found.get("at") not in (None, found["path"]) else ""
    return printable(f"{path} is left out: {rule_text(found)}{above}")


def left_out_text(found: dict[str, Any], *, named: int = 30) -> str:
    """The biggest things that are left out."""
    rows = found["rows"]
    if not rows:
        return "nothing is left out"
    more = "at least " if found.get("at_least") else ""
    shown = [["path", "files", "size", "rule"]]
    shown += [[row["path"], f"{row['files']:,}", size(row["bytes"]), rule_text(row)] for row in rows[:named]]
    rest = f"\nand {found['count'] - named:,} more" if found["count"] > named else ""
    return f"{table(shown)}{rest}\n\n{more}{plural(found['files'], 'file')}, {size(found['bytes'])} in all"


def why_text(told: dict[str, Any]) -> str:
    """Why a path is as it is: a sentence, then what it rests on."""
    rows = [[name, _version(told[name]) if told.get(name) else "nothing"] for name in ("here", "there")]
    base = told.get("base")
    rows.append(["agreed on", _version(base) if base else "nothing yet"])
    rows.append(["mode", str(told["mode"])])
    rows += [["problem", f"{item['side']}: {item['text']}"] for item in told.get("problems") or ()]
    rows += [
        ["history", f"{moment(item['time'])} {item['action']} {item['side']} (afield undo --event {item['id']})"]
        for item in told.get("history") or ()
    ]
    return one_line(f"{told['path']}: {_sentence(told)}") + "\n" + table([["", *row] for row in rows])


def _sentence(told: dict[str, Any]) -> str:
    state, side = told["state"], told.get("changed")
    if state == "ignored":
        name, rule = next((name, rule) for name, rule in told["rules"].items() if rule["ignored"])
        other = told["rules"]["there" if name == "here" else "here"]["ignored"]
        where = "" if other else f" by the rules {name}"
        above = f", which matches {rule['at']}" if rule.get("at") not in (None, told["path"]) else ""
        return f"left out of the sync{where}: {rule_text(rule)}{above}"
    if state == "conflict":
        what = CONFLICTS.get(str(told["conflict"]), "?")
        return f"in conflict: {what}; both versions stay until: afield resolve {told['path']}"
    if state == "pending":
        step = told["next"][0]
        word = {"remove": "is removed", "add": "is added", "replace": "is replaced"}[step["action"]]
        since = told.get(str(side)) if side in ("here", "there") else None
        when = f" at {moment(since['mtime'])}" if since and since.get("mtime") is not None else ""
        source = {"here": "there", "there": "here"}[step["side"]]
        return f"changed {source}{when}; with the next sync it {word} {step['side']}{_held(told['sync'])}"
    return {
        "absent": "on neither side, and never was",
        "unreadable": f"cannot be read {' and '.join(told['unreadable'])}, so it is left alone on both sides",
        "problem": "could not be carried over",
        "left": f"differs, and the mode {told['mode']} leaves it so",
        "same": "the same on both sides",
    }[state]


def _held(sync: dict[str, Any]) -> str:
    return f" (the sync waits: {sync['why']})" if sync.get("why") else ""


# ---- what differs

_SIGNS = {"only-here": "→", "only-there": "←", "content": "≠", "mode": "x", "kind": "!"}
_WORDS = {"content": "content", "mode": "executable bit", "kind": "kind"}


def compare_text(found: dict[str, Any]) -> str:
    """What differs, a line a path; a folder that only one side has is one line."""
    rows = [["", "path", "here", "there", "what"]]
    counts: dict[str, int] = {}
    for row, inside, held in folded(found["rows"]):
        counts[row["how"]] = counts.get(row["how"], 0) + 1 + inside
        what = _WORDS.get(row["how"], row["how"].replace("-", " "))
        if inside:
            what += f", with {plural(inside, 'entry') if inside == 1 else f'{inside:,} entries'}, {size(held)}"
        elif row.get("changed") in ("here", "there"):
            what += f", changed {row['changed']}"
        elif row.get("changed") == "both" and row["how"] in ("content", "kind"):
            what += ", changed on both sides or never agreed on"
        name = row["path"] + ("/" if (row["here"] or row["there"] or {}).get("kind") == "d" else "")
        rows.append([_SIGNS.get(row["how"], "?"), name, _short(row["here"]), _short(row["there"]), what])
    if not found["rows"]:
        return f"no difference among {plural(found['same'], 'file')}"
    differ = sum(counts.values())
    return f"{table(rows)}\n\n{differ:,} {'path differs' if differ == 1 else 'paths differ'}, {plural(found['same'], 'file')} equal"


def _short(value: dict[str, Any] | None) -> str:
    if value is None:
        return "-"
    if value.get("size") is None:
        return KINDS.get(str(value.get("kind")), "?")
    return f"{size(value['size'])}, {moment(value['mtime'])}"


def folded(rows: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], int, int]]:
    """Give (row, how many rows below it, their bytes): what is below a folder that only one side has is folded into it."""
    found: list[tuple[dict[str, Any], int, int]] = []
    top: str | None = None
    for row in sorted(rows, key=lambda each: each["path"].split("/")):
        held = ((row["here"] or row["there"] or {}).get("size")) or 0
        if top is not None and row["path"].startswith(top):
            first, count, total = found[-1]
            found[-1] = (first, count + 1, total + held)
            continue
        folder = row["how"].startswith("only-") and (row["here"] or row["there"])["kind"] == "d"
        top = row["path"] + "/" if folder else None
        found.append((row, 0, 0))
    return found


# ---- trees


def tree_text(top: str, entries: list[dict[str, Any]], *, hidden: bool, only_folders: bool) -> str:
    """Entries (``name`` below the top, ``kind``, ``target``) as a drawn tree, with counts at the end."""
    below: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        parts = entry["name"].split("/")
        if (hidden or not any(part.startswith(".") for part in parts)) and (not only_folders or entry["kind"] == "d"):
            below.setdefault("/".join(parts[:-1]), []).append(entry)
    lines = [printable(top or ".")]
    # By hand and not by recursion: a tree may be deeper than Python's stack.
    stack = [(entry, "", last) for entry, last in _siblings(below, "")]
    folders = files = 0
    while stack:
        entry, front, last = stack.pop()
        name = entry["name"].rpartition("/")[2]
        target = f" -> {entry['target']}" if entry.get("target") else ""
        is_folder = entry["kind"] == "d"
        folders, files = folders + is_folder, files + (not is_folder)
        lines.append(front + ("└── " if last else "├── ") + one_line(name + "/" * is_folder + target))
        stack += [(each, front + ("    " if last else "│   "), end) for each, end in _siblings(below, entry["name"])]
    return "\n".join([*lines, "", f"{plural(folders, 'folder')}, {plural(files, 'file')}"])


def _siblings(below: dict[str, list[dict[str, Any]]], name: str) -> list[tuple[dict[str, Any], bool]]:
    """What is directly in a folder, in falling order (it goes onto a stack), and whether each is the last one."""
    found = sorted(below.get(name, ()), key=lambda entry: entry["name"], reverse=True)
    return [(entry, place == 0) for place, entry in enumerate(found)]
