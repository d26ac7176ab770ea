"""What surrounds a run besides its streams and the sync: files from outside the project, ports both ways.

Rules: a run that names nothing of the kind pays for a look at its arguments and nothing else. What must not go in: how any of it is
done (carrying, run_ports).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from afield.daemon import carrying, near_ports, venvs
from afield.daemon.run_ports import RunPorts, shared

if TYPE_CHECKING:
    from afield.daemon import mapping, outside
    from afield.daemon.base import Base
    from afield.daemon.run_wire import RunRequest


class Around:
    """Of one run. ``wanted`` first; then, when it is true, ``before`` must be awaited."""

    def __init__(self) -> None:
        self._named: list[outside.Named] = []
        self._near: set[int] = set()
        self._trees: list[bytes] = []
        self._brought = False
        self._carried = carrying.Carried()
        self._ports: RunPorts | None = None

    def wanted(self, request: RunRequest, target: mapping.Target) -> bool:
        """Say whether something has to be brought before the program can start."""
        if request.mode != "python":
            return False
        self._named = carrying.wanted(request, target)
        self._near = near_ports.named(request.argv)
        self._trees = venvs.named(request, target.roots[0])
        return bool(self._named or self._near or self._trees)

    async def before(self, base: Base, target: mapping.Target) -> mapping.Target:
        """Bring what was named; gives the target with where it is. Raises what goes wrong with it."""
        if self._near and self._ports is None:  # not again for a program that is started anew, as in a view of its own
            self._ports = RunPorts(shared(base.place))
            await self._ports.reach(sorted(self._near))
        if (self._named or self._trees) and not self._brought:
            self._brought = True
            paths = target.paths
            # Environments are seen where the program sees them; anything else needs no view.
            view = target.view if self._trees else None
            python = target.python if self._trees else base.mapping_target().python
            self._carried = await carrying.carry(
                _store(base.place),
                self._named,
                python=python or b"python3",
                start=lambda argv: base.open_stream(_process(argv, view)),
                exists=lambda path: base.place.connection.call("stat", {"path": path}),
                trees=[(path, paths.path(path) or path) for path in self._trees],
            )
        return target._replace(carried=await base.way.show(self._carried.pairs, fresh=self._carried.fresh))

    def listening(self, base: Base, ports: Any) -> None:
        """Hear which ports the program listens on now."""
        if self._ports is None:
            self._ports = RunPorts(shared(base.place))
        self._ports.listening(list(ports))

    @property
    def brings(self) -> bool:
        """Whether ``after`` must be awaited before the end of the run is told."""
        return self._carried.stays

    async def after(self) -> str:
        """Bring results back; gives the text for the user when that fails."""
        return await self._carried.bring()

    def close(self) -> None:
        """End what was begun."""
        if self._ports is not None:
            self._ports.close()
        self._carried.drop()


def _store(place: Any) -> carrying.Store:
    store: carrying.Store | None = getattr(place, "carried", None)
    if store is None:
        store = place.carried = carrying.Store()
        place.connection.on_new_session.append(store.forget)
    return store


def _process(argv: list[bytes], view: bytes | None) -> dict[str, Any]:
    return {
        "view": view,
        "do": "process",
        "argv": argv,
        "cwd": None,
        "env": {},
        "unset": ["PYTHONHOME", "PYTHONPATH"],
        "tty": None,
        "login": False,
        "id": os.urandom(16),
        "label": "(carried files)",
        "mkdir": False,
    }
