"""Questions of ssh (passwords, one-time codes, new host keys) answered by whoever stands in front of a terminal.

The daemon that runs ssh has no terminal, so ssh calls the program named by SSH_ASKPASS: a script of a few lines in a 0700
folder that connects to a 0600 socket there, shows a random token from its environment, passes the question and prints the
answer. Rules: an answer is never logged, stored, or put on a command line; without a token nothing is asked; asyncio and what
else is slow to import is loaded when somebody answers, because the first dial starts before that.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable

from afield.control.door import Door
from afield.errors import Cancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio

Ask = Callable[[str, bool], Awaitable[str]]

_LIMIT = 64 * 1024  # a question is a line or a banner; more is not from ssh


class Askpass:
    """Makes the socket and the helper at once, so that ssh can start before the loop runs; ``serve`` begins to answer.

    ``env()`` goes to ssh; ``pending`` counts the questions that are open (a dial waits longer then); ``refused`` says that
    the last one was given up by the user.
    """

    def __init__(self, folder: str | None = None, *, door: Door | None = None) -> None:
        self._door = door or Door(folder)
        self.folder = self._door.folder
        self.helper = self._door.helper
        self.env = self._door.env
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ask: Ask | None = None
        self.pending = 0
        self.refused = False

    async def serve(self, ask: Ask) -> None:
        """Answer from now on with ``await ask(prompt, secret)``; raising Cancelled there refuses the question."""
        import asyncio

        self._ask = ask
        if self._server is None:
            listening = socket.socket(fileno=self._door.sock.detach())
            self._server = await asyncio.start_unix_server(self._connected, sock=listening)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import asyncio

        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            answer = await self._answer(reader)
            if answer is not None:
                writer.write(b"+" + answer.encode())
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> str | None:
        from hmac import compare_digest

        data = b""
        while len(data) <= _LIMIT:
            piece = await reader.read(_LIMIT)
            if not piece:
                break
            data += piece
        token, _, rest = data.decode("utf-8", "replace").partition("\0")
        kind, _, prompt = rest.partition("\0")
        if not compare_digest(token.encode(), self._door.token.encode()) or len(data) > _LIMIT:
            return None
        if self._ask is None or kind == "none":
            return None  # a notice ("touch the key"): nothing to answer, ssh ends the helper when it is done
        self.pending += 1
        try:
            answer = await self._ask(prompt, is_secret(prompt, kind))
        except Cancelled:
            self.refused = True
            return None
        finally:
            self.pending -= 1
        if kind == "confirm" and answer.strip().lower() not in {"y", "yes"}:
            self.refused = True
            return None
        return answer

    async def close(self) -> None:
        """End the socket and the open questions, and remove the folder."""
        import asyncio
        import shutil

        for task in list(self._tasks):
            task.cancel()
        if self._server is not None:
            self._server.close()
        self._door.sock.close()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=1)
        shutil.rmtree(self.folder, ignore_errors=True)


def is_secret(prompt: str, kind: str = "") -> bool:
    """Decide whether the answer must not be shown while it is typed: everything but a yes-or-no question about a host key."""
    return kind != "confirm" and "(yes/no" not in prompt and "'yes'" not in prompt
