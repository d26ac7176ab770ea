"""What a child does that makes or widens a view for the agent: look, mount or build, and tell what it looked at  [P].

Rules: a view is made anew when what it shows was replaced, which its marks tell. What must not go in: what a view looks like (twin,
standin, ondisk), who holds it (views).
"""

import os

from afield.agent import namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from afield.agent.views import View

STANDIN_PYTHON = b"/.afield/bin/python"


def mark_of(path: "bytes") -> "List[int]":
    """Give what tells a file from the one that replaced it; empty when there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_dev, status.st_ino]


class HalfMadeError(Exception):
    """A view could not be made; ``made``: the mount points that were, which somebody outside of it must remove."""

    def __init__(self, why: "str", made: "List[Tuple[bytes, bytes]]") -> "None":
        super().__init__(why)
        self.made = made


def reason_of(error: "Exception") -> "str":
    """Say what went wrong, as text that can travel."""
    text = str(error.args[-1] if error.args else error) or type(error).__name__
    return text.encode("utf-8", "replace").decode("utf-8")


def make(wanted: "Dict[str, Any]", marks: "Optional[List[Any]]") -> "Tuple[Any, List[int]]":
    """Make a view, or tell that the one with these marks is as it should be. Raises what says why not."""
    from time import monotonic

    from afield.agent import standin

    begin = monotonic()
    for there, _ in wanted["folders"]:
        if wanted["make"]:
            os.makedirs(there, exist_ok=True)
        elif not os.path.isdir(there):
            return {"missing": there}, []
    program = None if wanted["env"] is None else program_of(wanted["env"], wanted["folders"][0][0])
    env = None if program is None else standin.describe(program)
    now = [mark_of(there) for there, _ in wanted["folders"]] + ([env["mark"]] if env is not None else [])
    stands = not wanted["disk"] or os.path.exists(wanted["folders"][0][1] + STANDIN_PYTHON)
    if marks == now and stands:
        return {"same": True}, []
    try:
        found, commands, fds, made = put_up(wanted, env)
    except HalfMadeError as error:
        made = [list(pair) for pair in error.made]
        return {"refused": str(error), "shown": wanted["folders"][0][1], "made": made}, []
    if commands is not None:
        fds.append(os.open(commands.shown, os.O_RDONLY | os.O_CLOEXEC))
    told: "Dict[str, Any]" = {"python": None, "version": None, "prefix": None, "real": None}
    if found is not None and env is not None:
        told = {"python": found["executable"], "version": env["version"], "prefix": found["prefix"], "real": env["bin"]}
    told["ms"] = round((monotonic() - begin) * 1000, 1)
    kept = {
        "folders": [list(pair) for pair in wanted["folders"]],
        "marks": now,
        "program": None if program is None else [program, mark_of(program)],
        "made": [list(pair) for pair in made],
        "commands": None if commands is None else [commands.real, commands.shown],
        "known": [] if commands is None else [[name, mark] for name, mark in commands.known.items()],
        "disk": wanted["disk"],
        "gitless": gitless(wanted["folders"][0][0]) if env is not None and not wanted["disk"] else None,
    }
    return {"told": told, "kept": kept}, fds


def put_up(wanted: "Dict[str, Any]", env: "Optional[Dict[str, Any]]") -> "Tuple[Any, Any, List[int], List[Any]]":
    """Mount or build it; gives what its interpreter told, its commands, its namespaces, the mount points that were made.

    Raises HalfMadeError, and what says why not.
    """
    if wanted["disk"] and env is not None:
        # The project is where it should be shown already.
        from afield.agent import ondisk

        found, commands = ondisk.build(wanted["folders"][0][1], env)
        return found, commands, [], []
    from afield.agent.twin import Twin

    twin = Twin(wanted["folders"], env, wanted["binds"])
    twin.plan()
    try:
        twin.build()
        return twin.check() if env is not None else None, twin.commands, list(twin.descriptors), twin.ground.made
    except Exception as error:
        raise HalfMadeError(reason_of(error), twin.ground.made) from error


def gitless(project: "bytes") -> "Optional[bytes]":
    """Give the project's folder when it is no repository yet: one that is made later must leave the environment out as well."""
    return None if os.path.exists(project + b"/.git") else project


def program_of(name: "bytes", folder: "bytes") -> "bytes":
    """Give the interpreter's file: a path, or a name that is looked up in PATH; a script is asked. Raises OSError, RefusedError."""
    from afield.agent.calls import which
    from afield.agent.spawn import expand
    from afield.agent.twin import output_of

    found = expand(name) if b"/" in name else which(name)
    if found is None:
        raise OSError(2, "there is no %s there" % os.fsdecode(name))
    with open(found, "rb") as file:
        is_script = file.read(2) == b"#!"
    if is_script:  # of pyenv and its kin: it chooses by the folder it stands in
        code = b"import os, sys; os.write(1, os.fsencode(sys.executable))"
        found = output_of([found, b"-I", b"-S", b"-c", code], folder)
    return bytes(found)


def widen(view: "View", pairs: "List[Any]") -> "Dict[str, Any]":
    """Show more, in a child; gives why not (``refused``, or None) and the mount points that were ``made``. Raises OSError."""
    from afield.agent.ground import Ground
    from afield.agent.twin import show_more

    user = view.namespaces[:2] if len(view.namespaces) == 3 else view.namespaces
    kinds = (namespaces.NEW_USER, namespaces.NEW_MOUNTS) if len(user) == 2 else (namespaces.NEW_MOUNTS,)
    for fd, kind in zip(user, kinds):
        namespaces.enter(fd, kind)
    for pair in pairs:
        if pair in view.bound:  # a folder that is no more; nothing can be mounted over it
            namespaces.unmount(pair[1])
    ground, refused = Ground(), None
    try:
        show_more(pairs, ground)
    except Exception as error:
        refused = reason_of(error)
    return {"refused": refused, "made": [list(made) for made in ground.made]}
