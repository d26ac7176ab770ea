"""The daemon's start and end.

Order of the start: the dial that the starter began is taken over, private folders, the locks (there is one daemon per user), else the
dial that it hinted at (ssh needs longer than all the rest, so it runs while Python imports), the socket, the word "ready", then work.
What must not go in: anything that a running daemon does; asyncio above ``main``.
"""

from __future__ import annotations

import os
import sys

from afield.control import askfolder, launch, paths
from afield.daemon import locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal

    from afield.control.door import Door
    from afield.daemon.early import Early

    Begun = tuple[tuple[int, int, int, int], Door]
else:
    import _signal as signal  # the enums of the module above it cost 3 ms, and the dial waits


def main(argv: list[str]) -> int:
    """Run the daemon until it ends; 0 also when another one is already there."""
    ready, dial, adopted = parse(argv)
    begun = launch.take_over(adopted) if adopted >= 0 else None
    handles = () if begun is None else (*begun[0][1:], begun[1].sock.fileno())
    launch.close_inherited({fd for fd in (ready, *handles) if fd >= 0})
    os.chdir("/")
    try:
        paths.make_private(paths.run_folder())
        paths.make_private(paths.state_folder())
        paths.make_private(os.path.dirname(paths.log_path()))
        held = locks.take()
    except Exception as error:
        if begun is not None:
            launch.drop(*begun)
        busy = isinstance(error, locks.Busy)
        tell(ready, "" if busy else _text(error))
        return 0 if busy else 1
    askfolder.clear_ask_folder(keep="" if begun is None else begun[1].folder)
    early = dial_early(dial, begun)
    try:
        return serve(ready, early)
    finally:
        for lock in held:
            os.close(lock)


def parse(argv: list[str]) -> tuple[int, tuple[str, str] | None, int]:
    """Read ``[--ready FD] [--dial PROJECT MACHINE] [--adopted FD]``."""
    ready, dial, adopted, rest = -1, None, -1, list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--ready":
            ready = int(rest.pop(0))
        elif word == "--dial":
            dial = (rest.pop(0), rest.pop(0))
        elif word == "--adopted":
            adopted = int(rest.pop(0))
        else:
            raise SystemExit(f"unknown argument {word!r}")
    return ready, dial, adopted


def _text(error: Exception) -> str:
    hint = getattr(error, "hint", None)
    return f"{error}\nhint: {hint}" if hint else str(error)


def tell(ready: int, text: str) -> None:
    """Tell the starter that we listen, or why we do not."""
    if ready >= 0:
        try:
            if text:
                os.write(ready, text.encode("utf-8", "replace")[:4000])
        except OSError:
            pass
        os.close(ready)


def dial_early(dial: tuple[str, str] | None, begun: Begun | None = None) -> Early | None:
    """Start the hinted dial, or take over the one that was begun; any trouble is left to the ordinary dial, which explains it."""
    if dial is None:
        return None
    try:
        from afield.daemon import early  # takes four times as long as all before it

        project, machine = dial
        return early.complete(project, machine or None, *begun) if begun else early.start(project, machine or None)
    except Exception as error:
        sys.stderr.write(f"no early dial: {error!r}\n")
        return None


def serve(ready: int, early: Early | None) -> int:
    """Import the rest, listen, and work until the end."""
    import asyncio

    from afield.daemon import server

    try:
        listener = server.bind(paths.socket_path())
    except Exception as error:
        tell(ready, _text(error))
        return 1
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return asyncio.run(_work(listener, ready, early))


async def _work(listener: object, ready: int, early: Early | None) -> int:
    import asyncio
    import logging

    from afield.daemon import api, core, logs, server

    diary = logs.Log(paths.log_path(), level=logs.level_from_env())
    diary.claim_stderr()
    handler = core.LogHandler(diary)
    logging.getLogger().addHandler(handler)
    daemon = core.Daemon(diary)
    daemon.handlers = api.handlers(daemon)
    for number in (signal.SIGTERM, signal.SIGINT):
        daemon.loop.add_signal_handler(number, daemon.stop)
    if early is not None:
        daemon.places.get(early.machine, adopted=early.process, askpass=early.askpass).wake()
    daemon.spawn(daemon.projects.resume(), "resume")
    accepting = server.Server(
        daemon.loop,
        listener,  # type: ignore[arg-type]
        on_face=daemon.face,
        on_run=daemon.run,
        log=diary.warning,
    )
    diary.info("ready")
    tell(ready, "ready\n")
    await daemon.wait_stopped()
    diary.info("ending")
    remove_socket()
    accepting.close()
    try:
        async with asyncio.timeout(10):
            await daemon.close()
    except TimeoutError:
        diary.warning("not everything ended within 10 s")
    diary.info("ended")
    logging.getLogger().removeHandler(handler)
    diary.close()
    return 0


def remove_socket() -> None:
    """Take the socket away first, so that a client that comes now starts a new daemon instead of meeting a dying one."""
    try:
        os.unlink(paths.socket_path())
    except OSError:
        pass
