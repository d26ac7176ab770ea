"""Boot: become the agent, or hand the login over to the one that is there  [P].

Rules: descriptors 0 and 1 are moved away and pointed elsewhere, so that a stray print cannot get into the stream; everything is
close-on-exec; the process leaves the login's session, so that the end of the login is not its end.
"""

import gc
import os
import sys

from afield.agent import joining
from afield.agent.helpers import open_descriptors
from afield.agent.pumps import close_quietly
from afield.agent.signals import c_signal, reset_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple


def start(fd_in: "int", fd_out: "int", info: "Dict[str, Any]") -> "None":
    """Serve until there is nothing left to do; never returns.

    info: ``hash`` of the release, ``cache`` folder or "", ``home`` (AFIELD_HOME or ""), ``later``: work for a quiet moment, or None.
    """
    status = 0
    try:
        close_foreign()
        place = joining.enter(info)
        fd_in, fd_out = take_stdio(fd_in, fd_out)
        detach()
        serve(fd_in, fd_out, info, place)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 70
    finally:
        os._exit(status)


def serve(fd_in: "int", fd_out: "int", info: "Dict[str, Any]", place: "Any") -> "None":
    """Run the loop until the keeper leaves."""
    from afield.agent.keeper import Keeper
    from afield.agent.loop import Loop

    reset_signals()  # what the login ignored or blocked would go on to every program that is started by vfork
    loop = Loop()
    loop.handle_signal(int(c_signal.SIGCHLD), loop.reap)
    for number in (c_signal.SIGHUP, c_signal.SIGINT, c_signal.SIGQUIT, c_signal.SIGPIPE, c_signal.SIGTSTP):
        loop.handle_signal(int(number), None)
    keeper = Keeper(loop, info, place)
    loop.handle_signal(int(c_signal.SIGTERM), keeper.terminate)
    try:
        keeper.add_transport(fd_in, fd_out)
        if info.get("later") is not None:
            loop.call_later(LATER, lambda: in_quiet_child(loop, info["later"]))
        # Nothing made so far will be garbage: forks copy fewer pages when the collector does not touch them.
        getattr(gc, "freeze", gc.collect)()
        loop.run()
    except Exception:
        keeper.log_failure("the agent ends by a fault")
        raise
    finally:
        keeper.close()


# Compiling all modules takes 0.2 s of processor: after the first exchange, before anybody would dial again.
LATER = 1.0


def in_quiet_child(loop: "Any", work: "Any") -> "None":
    """Run work in a forked child of low priority and forget about it."""
    try:
        pid = os.fork()
    except OSError:
        return
    if pid:
        loop.forget_child(pid)
        return
    try:
        from afield.agent.helpers import leave_agent

        leave_agent(())
        os.nice(10)
        work()
    finally:
        os._exit(0)


def close_foreign() -> "None":
    """Close what the login left open beside 0, 1, 2: a pipe of somebody else's must not live as long as the agent."""
    for fd in open_descriptors():
        if fd > 2:
            close_quietly(fd)


def take_stdio(fd_in: "int", fd_out: "int") -> "Tuple[int, int]":
    """Move the link's descriptors above 2; 0 becomes /dev/null and 1 the same as 2."""
    moved = os.dup(fd_in), os.dup(fd_out)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    try:
        os.fstat(2)
    except OSError:  # started without one
        os.dup2(null, 2)
    os.dup2(2, 1)
    os.close(null)
    return moved


def detach() -> "None":
    """Leave the login's session where that is possible, and its folder."""
    try:
        os.setsid()
    except OSError:  # a group leader cannot: the signals that could reach it are ignored
        pass
    os.chdir("/")
