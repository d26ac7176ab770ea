"""Ends, failures and wrong clocks at named steps: workers that have them, and a process with a whole session in it.

Run as a program (``crashes.py TOP STEP COUNT``) it syncs TOP/here and TOP/there until both are quiet, and kills itself with
SIGKILL when it comes to that step for the COUNTth time. Its exit status tells which of the two it was.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys

import afield
from afield.errors import GuardRefused, LinkLost, LinkTimeout
from afield.sync import copied, steps
from afield.sync.channel import PipeChannel
from afield.sync.session import Session
from afield.sync.settings import Settings

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(afield.__file__)))
# After so many cycles without quiet it is content: the tests compare what is there, not that it is finished.
CYCLES = 20

WORKER = """
import errno, os, signal, sys, time
sys.path.append(sys.argv[1])
from afield.files import steps
from afield.files.worker import main

left, step, way, ahead = int(sys.argv[3]), sys.argv[2], sys.argv[4], float(sys.argv[5])

def hook(name):
    global left
    if name != step:
        return
    left -= 1
    if left:
        return
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

if step:
    steps.hook = hook
if ahead:
    real = time.time
    time.time = lambda: real() + ahead
sys.exit(main(0, 1))
"""


async def odd_worker(step="", count=1, way="kill", ahead=0.0):
    """A files worker that is killed (or, ``way`` "full", gets ENOSPC) at the step, and whose clock is so many seconds ahead."""
    words = [sys.executable, "-I", "-S", "-c", WORKER, SOURCE, step, str(count), way, str(ahead)]
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, cwd="/"
    )
    read_fd, write_fd = os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno())
    process.stdin.close()
    process.stdout.close()
    return PipeChannel(read_fd, write_fd, process=process)


def settings_of(top):
    """The settings of the session between the two folders of ``top``."""
    here, there = (os.fsencode(os.path.join(top, side)) for side in ("here", "there"))
    return Settings(here=here, there=there, place="local://test", store=os.path.join(top, "base.db"))


async def come_to_rest(session):
    """Sync until it is quiet, or for a while when it does not become so."""
    for _ in range(CYCLES):
        try:
            await session.flush(5.0)
        except GuardRefused:
            session.confirm()
        except (LinkLost, LinkTimeout):
            pass
        else:
            if session.picture.quiet and not session.status().problems:
                return
        await asyncio.sleep(0.01)


async def main(top, step, count):
    """Sync the two folders; with the step and the count comes the end."""
    left = [count]

    def hook(name):
        left[0] -= name == step
        if name == step and not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    steps.hook, copied.LEAST = hook, 0
    session = Session(odd_worker, odd_worker, settings_of(top))
    try:
        with contextlib.suppress(GuardRefused):
            await session.start()
        if session.state != "live":
            session.confirm()
            await session.start()
        await come_to_rest(session)
    finally:
        await session.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
