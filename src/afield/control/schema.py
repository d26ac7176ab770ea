"""The table of verbs: what a face may ask, since which version, with which arguments, and what comes back. Pure.

Rules: one row a verb; a request is checked against its row before anything is done with it; a new verb or argument gets
``since``, nothing is ever taken away within a version. What must not go in: how a verb is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from afield.control import VERSION
from afield.control.rows import Arg, Verb
from afield.control.rows_jobs import JOB_ROWS
from afield.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


class Request(NamedTuple):
    """A checked request; every argument of the verb is there."""

    id: int
    verb: str
    args: dict[str, Any]


_PROJECT = Arg("project", "folder", required=True)
_MACHINE = Arg("machine", "name")
_PLACE = (_PROJECT, _MACHINE)
# A further folder of the project, by its name in afield.toml; without it the project's own.
_FOLDER = Arg("folder", "name")
# What a person agrees to: so many bytes at first, what a guard holds back, a folder of another project there.
_AGREED = (
    Arg("confirm", "count"),
    Arg("removals", "bool", default=False),
    Arg("take_over", "bool", default=False),
)

_ROWS = (
    Verb(
        "hello",
        1,
        (Arg("env", "texts"),),
        "version, pid, since (seconds since the epoch), run (folder of the socket), keeps (what is kept)",
    ),
    Verb("status", 1, (Arg("project", "folder"),), "the whole state; with a project only what concerns it"),
    Verb("watch", 1, (Arg("after", "count"),), "events `change`, one for each change of the state, until closed"),
    Verb("connect", 1, (*_PLACE, Arg("facts", "bool", default=True)), "place, latency_ms, connect_ms, facts"),
    Verb("disconnect", 1, (*_PLACE, Arg("stop_agent", "bool", default=False)), "closed"),
    Verb("up", 1, (*_PLACE, *_AGREED), "place, folder, sync: what the first sync did"),
    Verb("down", 1, (*_PLACE, Arg("stop_agent", "bool", default=False)), "stopped: what was ended"),
    Verb(
        "clean",
        1,
        (
            *_PLACE,
            Arg("files", "bool", default=False),
            Arg("force", "bool", default=False),
            Arg("others", "bool", default=True),
            Arg("dry_run", "bool", default=False),
        ),
        "removed, or would_remove; others: jobs of other projects, too",
    ),
    Verb("sync", 1, (*_PLACE, Arg("dry_run", "bool", default=False), *_AGREED), "plan, or what was done"),
    Verb("git-sync", 1, _PLACE, "here, there (what moved), apart (branches), notes, head"),
    Verb("conflicts", 1, (*_PLACE, _FOLDER), "list of conflicts"),
    Verb(
        "versions",
        1,
        (*_PLACE, _FOLDER, Arg("path", "text", required=True)),
        "here, there, base, conflict; texts as base64",
    ),
    Verb(
        "settle",
        1,
        (
            *_PLACE,
            _FOLDER,
            Arg("paths", "texts", required=True),
            Arg("keep", "way", required=True),
            Arg("markers", "bool", default=False),
        ),
        "settled, open (with why), renamed, marked",
    ),
    Verb(
        "history",
        1,
        (*_PLACE, _FOLDER, Arg("path", "text"), Arg("side", "side"), Arg("limit", "count", default=200)),
        "list of what was replaced or removed",
    ),
    Verb(
        "undo",
        1,
        (
            *_PLACE,
            _FOLDER,
            Arg("path", "text"),
            Arg("side", "side"),
            Arg("event", "event"),
            Arg("force", "bool", default=False),
        ),
        "restored",
    ),
    Verb(
        "why",
        1,
        (*_PLACE, _FOLDER, Arg("path", "text", required=True)),
        "state, here, there, base, rules, next, history",
    ),
    Verb(
        "ignored",
        1,
        (*_PLACE, _FOLDER, Arg("path", "text")),
        "the rule that decides; without a path rows of the biggest",
    ),
    Verb("compare", 1, (*_PLACE, _FOLDER, Arg("path", "text", default="")), "rows of what differs, same (files)"),
    Verb(
        "ls",
        1,
        (
            *_PLACE,
            Arg("path", "text", default=""),
            Arg("long", "bool", default=False),
            Arg("depth", "count", default=1),
        ),
        "entries",
    ),
    Verb(
        "get",
        1,
        (
            *_PLACE,
            Arg("path", "text", required=True),
            Arg("to", "folder", required=True),
            Arg("glob", "bool", default=False),
        ),
        "files, bytes; of one file also digest, size, mtime_ns",
    ),
    Verb(
        "put",
        1,
        (
            *_PLACE,
            Arg("path", "text", required=True),
            Arg("from", "folder"),
            Arg("executable", "bool", default=False),
            Arg("was", "counts"),
        ),
        "files, bytes, digest (of one file)",
    ),
    Verb(
        "cat",
        1,
        (*_PLACE, Arg("path", "text", required=True), Arg("offset", "count", default=0)),
        "size, digest; events `data`",
    ),
    Verb(
        "forward",
        1,
        (*_PLACE, Arg("spec", "text", required=True), Arg("reverse", "bool", default=False)),
        "id, local, remote",
    ),
    Verb("forwards", 1, (), "list of forwards"),
    Verb("forward-stop", 1, (Arg("id", "count", required=True),), "stopped"),
    Verb("doctor", 1, _PLACE, "machine, way, ok, rows: list of name, state (ok, warn, fail), text, hint"),
    Verb("env-list", 1, _PLACE, "envs, use (path of the one in use), system, complete, ms"),
    Verb(
        "env-packages",
        1,
        (*_PLACE, Arg("env", "text")),
        "env, system, packages: list of [name, version, origin], stage (where wheels may be put), refused (why nothing is installed); without env the one in use",
    ),
    Verb(
        "env-create",
        1,
        (*_PLACE, Arg("name", "text", required=True), Arg("python", "text"), Arg("with", "text", default="venv")),
        "env, system; notes tell what the tool there says",
    ),
    Verb(
        "env-install",
        1,
        (
            *_PLACE,
            Arg("env", "text"),
            Arg("requirements", "texts", required=True),
            Arg("wheels", "text"),
            Arg("pip", "text"),
            Arg("options", "texts"),
        ),
        "installed: [name, version, origin] of what is new; wheels: a folder there, without it the network there is used",
    ),
    Verb(
        "env-remove",
        1,
        (*_PLACE, Arg("env", "text", required=True), Arg("foreign", "bool", default=False)),
        "removed: its path",
    ),
    Verb("interpreter", 1, _PLACE, "version, executable, prefix (there), prompt, stamp (changes with the interpreter)"),
    Verb(
        "mirror-sync",
        1,
        (*_PLACE, Arg("env", "text"), Arg("full", "bool", default=False)),
        "python, env, prefix, files, bytes, changed, removed, fetched, fetched_bytes, received (bytes on the link), missing, large, seconds",
    ),
    Verb("mirror-refresh", 1, _PLACE, "begun: whether there is a mirror to bring up to date; it goes on by itself"),
    Verb("mirror-status", 1, _PLACE, "mirror (null without one), store (folder, files, bytes), auto"),
    Verb("mirror-remove", 1, _PLACE, "removed (files), freed_files, freed_bytes"),
    Verb("mirror-get", 1, (*_PLACE, Arg("path", "text", required=True)), "path: the file here"),
    Verb("facts", 1, _PLACE, "the agent's facts"),
    Verb("processes", 1, _PLACE, "the agent's list of processes"),
    Verb("kill", 1, (*_PLACE, Arg("id", "hex", required=True), Arg("signal", "count", default=15)), "killed"),
    *JOB_ROWS,
    Verb("log", 1, (Arg("lines", "count", default=50),), "path, lines"),
    Verb("stop-daemon", 1, (Arg("force", "bool", default=False),), "stopping, or keeps"),
    Verb("answer", 1, (Arg("token", "text", required=True), Arg("text", "text"), Arg("yes", "bool")), "taken"),
    Verb("data", 1, (Arg("data", "base64", default=""), Arg("end", "bool", default=False)), "taken"),
)
VERBS = {verb.name: verb for verb in _ROWS}


def check_request(value: Any) -> Request:
    """Return the checked request, defaults filled in. Raises UsageError that names what is wrong.

    The error's details have ``id`` when the request had a usable one, so that the answer finds its asker.
    """
    if not isinstance(value, dict):
        raise UsageError(f"expected a JSON object, got {value!r:.80}")
    number = value.get("id")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 53:
        raise UsageError(f"expected an id from 0 to 2^53, got {number!r:.80}")
    try:
        _check_version(value.get("v"))
        verb = _find(value.get("do"))
        args = value.get("args", {})
        if not isinstance(args, dict):
            raise UsageError(f"{verb.name}: expected args as an object, got {args!r:.80}")
        return Request(number, verb.name, check_args(verb, args))
    except UsageError as error:
        error.details["id"] = number
        raise


def check_args(verb: Verb, given: dict[str, Any]) -> dict[str, Any]:
    """Return all arguments of verb, each of its kind. Raises UsageError."""
    known = {arg.name: arg for arg in verb.args}
    for name in given:
        if name not in known:
            raise UsageError(f"{verb.name} has no argument {name!r:.80}", hint=f"known: {', '.join(known) or 'none'}")
    checked = {}
    for arg in verb.args:
        value = given.get(arg.name)
        if value is None:
            if arg.required:
                raise UsageError(f"{verb.name} needs the argument {arg.name!r}")
            checked[arg.name] = arg.default
            continue
        if not _KINDS[arg.kind](value):
            raise UsageError(f"{verb.name}: {arg.name} expects {_WORDS[arg.kind]}, got {value!r:.80}")
        checked[arg.name] = value
    return checked


def _check_version(version: Any) -> None:
    if version != VERSION or isinstance(version, bool):
        raise _other_version(
            f"expected version {VERSION} of the control protocol, got {version!r:.40}",
            hint="this daemon is of another version: end it with `afield down --daemon` and try again",
        )


def _other_version(text: str, *, hint: str) -> UsageError:
    error = UsageError(text, hint=hint)
    error.code = "version"
    return error


def _find(name: Any) -> Verb:
    verb = VERBS.get(name) if isinstance(name, str) else None
    if verb is None:
        raise UsageError(f"unknown request {name!r:.80}", hint="known: " + ", ".join(sorted(VERBS)))
    return verb


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_folder(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value and value.startswith("/")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value and 0 < len(value) <= 64 and "/" not in value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(item) for item in value)


def _is_hex(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 32 and all(letter in "0123456789abcdef" for letter in value)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "text": _is_text,
    "folder": _is_folder,
    "name": _is_name,
    "count": _is_count,
    "bool": lambda value: isinstance(value, bool),
    "texts": _is_texts,
    "counts": lambda value: isinstance(value, list) and all(_is_count(item) for item in value),
    "side": lambda value: value in ("here", "there"),
    "way": lambda value: value in ("here", "there", "both", "merge"),
    "hex": _is_hex,
    "event": lambda value: _is_count(value) or _is_text(value),
    "base64": lambda value: isinstance(value, str) and value.isascii(),
}
_WORDS = {
    "text": "a text without NUL",
    "folder": "an absolute path",
    "name": "a name of at most 64 characters without '/'",
    "count": "a whole number that is not negative",
    "bool": "true or false",
    "texts": "a list of texts",
    "counts": "a list of whole numbers that are not negative",
    "side": "here or there",
    "way": "here, there, both or merge",
    "hex": "32 hexadecimal digits",
    "event": "an event of `afield history`",
    "base64": "base64 text",
}
