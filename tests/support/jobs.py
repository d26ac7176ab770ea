"""Jobs as the tests of the agent start and end them."""

import contextlib
import os
import signal


def job(agent, *argv, tty=None, env=None, cwd=None, view=None, **wish):
    """Start one; gives its state."""
    words = [os.fsencode(item) for item in argv]
    process = {"argv": words, "cwd": cwd, "env": env or {}, "tty": tty, "view": view}
    return agent.call("job-start", process=process, **wish)


def view(agent, state, **fields):
    """Look at one; gives the stream."""
    return agent.open(do="job", job=state["id"], **fields)


def wait_end(agent, state):
    """Wait until it is over; gives the last message."""
    return view(agent, state, follow=True, quiet=True, result=True).wait_closed().messages[-1]


def end_all(home):
    """End every process whose agent has this home: a job outlives its agent, so a test that failed must not leave one."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if f"AFIELD_HOME={home}".encode() in file.read():
                    os.kill(int(name), signal.SIGKILL)
