"""Tells that a job ended, from the place itself: a webhook, or a command; each in a forked child  [P].

What a webhook's address holds is a secret: it is in the keeper's memory and on no command line, in no file and no environment.
"""

import os
from time import sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

TRIES = (0.0, 5.0, 60.0)  # seconds before each try of a webhook: a service that restarts is back within a minute
PATIENCE = 20.0  # seconds for one try


def message(state: "Dict[str, Any]") -> "Dict[str, Any]":
    """Give what is told of a job: plain values."""
    ended = state.get("exit") or {}
    return {
        "job": state["name"],
        "number": state["number"],
        "id": state["id"],
        "host": state["host"],
        "state": state["state"],
        "exit": ended.get("exit"),
        "signal": ended.get("killed"),
        "started": state.get("started"),
        "ended": state.get("ended"),
        "why": state.get("why") or "",
        "command": b" ".join(state["argv"]).decode("utf-8", "replace")[:1000],
    }


def post(url: "str", told: "Dict[str, Any]") -> "None":
    """Send it as JSON by POST. Blocks; raises OSError or ValueError after the last try."""
    import json
    from urllib.request import Request, urlopen

    data = json.dumps(dict(told, text=sentence(told))).encode("ascii")
    if not url.startswith(("http://", "https://")):
        raise ValueError("expected an address that begins with http:// or https://")
    for number, pause in enumerate(TRIES):
        sleep(pause)
        try:
            request = Request(url, data, {"Content-Type": "application/json", "User-Agent": "afield"})  # noqa: S310 checked above
            with urlopen(request, timeout=PATIENCE):  # noqa: S310
                return
        except OSError:
            if number == len(TRIES) - 1:
                raise


def sentence(told: "Dict[str, Any]") -> "str":
    """Say it in a line, which chat services show as ``text``."""
    if told["exit"] is not None:
        how = "exited with %d" % told["exit"]
    elif told["signal"] is not None:
        how = "was killed by signal %d" % told["signal"]
    else:
        how = told["why"] or told["state"]
    return "job %s on %s %s" % (told["job"], told["host"], how)


def run_command(command: "bytes", told: "Dict[str, Any]") -> "None":
    """Become sh with the command; what is told stands in AFIELD_JOB_*. Never returns."""
    env = dict(os.environb)
    for key in ("job", "number", "id", "state", "exit", "signal", "why"):
        value = told[key]
        env[b"AFIELD_JOB_" + (key.upper() if key != "job" else "NAME").encode()] = (
            b"" if value is None else str(value).encode("utf-8", "replace")
        )
    os.execve(b"/bin/sh", [b"sh", b"-c", command], env)


def in_child(work: "Callable[[], Any]") -> "int":
    """Do it in a forked child; give its pid. Its complaints go to descriptor 2. Raises OSError."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            from afield.agent.helpers import leave_agent

            leave_agent(())
            os.setsid()
            work()
            status = 0
        except BaseException as error:
            os.write(2, ("notify: %s\n" % type(error).__name__).encode())
        finally:
            os._exit(status)
    return pid
