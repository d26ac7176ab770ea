"""Runs git at either end: a subprocess here, a process of the agent there. Nothing is decided here.

Rules: never through a login shell, never with the caller's GIT_ variables, no questions on a terminal; output is bounded;
words are passed as words, so no name is ever read by a shell.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from typing import TYPE_CHECKING, NamedTuple, Protocol

from afield.errors import GitRefused, LinkTimeout, ProtocolError
from afield.link.forward import Relay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from afield.link.connection import Connection
    from afield.link.stream import Stream

# A list of refs has about 80 bytes each: 200,000 of them.
MOST_OUTPUT = 16 << 20
# Small commands; carrying objects has no limit of time of its own.
SECONDS = 120.0
# git(1): what makes git work on another repository than that of the folder.
VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_PROTOCOL_FROM_USER",
)
SET = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}


class Done(NamedTuple):
    """What a command left: its exit status, its output, the end of its messages."""

    status: int
    out: str
    err: str


class End(Protocol):
    """One side."""

    name: str

    async def run(self, *words: str) -> Done:
        """Run a program with the side's folder as its first free argument; see ``script``."""


def clean_environment() -> dict[str, str]:
    """Give the environment of git here: the caller's without what would lead git elsewhere."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**kept, **SET}


class Here:
    """This machine; ``folder`` is the project's."""

    name = "here"

    def __init__(self, folder: str) -> None:
        self.folder = folder

    async def run(self, *words: str) -> Done:
        """See End. Raises GitRefused when it takes too long."""
        return await asyncio.to_thread(self._run, words)

    def _run(self, words: Sequence[str], fd: int | None = None, timeout: float | None = SECONDS) -> Done:
        try:
            done = subprocess.run(
                words,
                cwd=self.folder,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=timeout,
                pass_fds=() if fd is None else (fd,),
            )
        except FileNotFoundError:
            raise GitRefused("git was not found here", hint="install git here, or leave `sync.git` off") from None
        except subprocess.TimeoutExpired:
            raise GitRefused(f"git took more than {SECONDS:g} s here: {' '.join(words[:3])}") from None
        text = [part.decode("utf-8", "surrogateescape") for part in (done.stdout, done.stderr)]
        return Done(done.returncode, text[0], text[1][-2000:])

    async def talk(self, words: Sequence[str], fd: int) -> Done:
        """Run a command that talks over ``fd``, as long as that takes."""
        return await asyncio.to_thread(self._run, words, fd, None)


class There:
    """The place, through the agent; ``folder`` is absolute."""

    name = "there"

    def __init__(self, connection: Connection, folder: bytes) -> None:
        self.connection = connection
        self.folder = folder

    def open(self, words: Sequence[str | bytes]) -> Stream:
        """Start a process there."""
        return self.connection.open_stream(
            {
                "do": "process",
                "argv": [os.fsencode(word) for word in words],
                "cwd": self.folder,
                "env": {name: value.encode() for name, value in SET.items()},
                "unset": list(VARIABLES),
                "tty": None,
                "login": False,
                "id": os.urandom(16),
                "label": "git",
                "mkdir": False,
            }
        )

    async def run(self, *words: str) -> Done:
        """See End. Raises what the agent says, LinkTimeout, ProtocolError for endless output."""
        stream = self.open(words)
        taken = (bytearray(), bytearray())

        def sink(data: memoryview, err: bool) -> None:
            taken[err].extend(data)
            stream.consumed(len(data))
            if len(taken[err]) > MOST_OUTPUT:
                stream.close(ProtocolError(f"git there printed more than {MOST_OUTPUT} bytes"))

        status = -1
        try:
            async with asyncio.timeout(SECONDS):
                stream.set_sink(sink)
                stream.write_end_nowait()
                async for message in stream.messages():
                    status = int(message.get("exit", status)) if isinstance(message, dict) else status
        except TimeoutError:
            raise LinkTimeout(f"git took more than {SECONDS:g} s there: {' '.join(words[:3])}") from None
        finally:
            stream.close()
        text = [bytes(part).decode("utf-8", "surrogateescape") for part in taken]
        return Done(status, text[0], text[1][-2000:])


async def script(end: Here | There, text: str, *words: str) -> Done:
    """Run a POSIX shell script with the side's folder and ``words`` as its arguments."""
    folder = end.folder if isinstance(end.folder, str) else os.fsdecode(end.folder)
    return await end.run("/bin/sh", "-c", text, "sh", folder, *words)


async def talk(here: Here, there: There, service: str, words: Sequence[str]) -> Done:
    """Run git here against ``service`` (upload-pack or receive-pack) there; ``{}`` in words becomes the address.

    The address is that of git-remote-fd(1): one end of a socket pair, whose other end is a stream of the link.
    """
    mine, gits = socket.socketpair()
    # Messages of the far git go nowhere: what matters comes in the protocol, and a mixed stream would break it.
    command = f'exec git {service} "$1" 2>/dev/null'
    stream = there.open(["/bin/sh", "-c", command, "sh", there.folder])
    stream.on_message = lambda _: None
    relay = Relay(mine, stream, lambda _: None)
    try:
        return await here.talk([word.replace("{}", f"fd::{gits.fileno()}/there") for word in words], gits.fileno())
    finally:
        gits.close()
        relay.close()
