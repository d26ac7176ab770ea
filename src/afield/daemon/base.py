"""What a run needs of a project on a machine. No code in here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from afield.daemon import settling

if TYPE_CHECKING:
    from afield.daemon import mapping


class Base(settling.Synced, Protocol):
    """What a run needs of a project's machine (``target.Target``)."""

    def run_state(self, *, barrier: bool) -> str:
        """Say whether a run can begin: ``ready``, ``barrier`` (first sync what was saved) or ``not-ready``."""

    def open_stream(self, header: dict[str, Any], window: int | None = None) -> Any:
        """Open a stream at the place."""

    def mapping_target(self) -> mapping.Target:
        """Give the project on both sides."""

    @property
    def environment(self) -> Any:
        """The environment there (``chosen.Chosen``)."""

    @property
    def way(self) -> Any:
        """How paths are the same on both sides (``way.Way``)."""

    async def home(self) -> bytes:
        """Give the home folder there."""

    @property
    def place(self) -> Any:
        """The place, for who asks which runs use it."""

    def wake(self) -> None:
        """Take the link up again if that needs nobody."""
