r"""Watch a job: its last screen, then what comes. Of a job with a terminal (`run -d --pty`) also the keys go there.

Several may be attached at once: all see the same, all can type, the window is as large as that of the last one who came or changed.
Ctrl-\ twice leaves a job with a terminal (once and another key: both go to the job); Ctrl-C leaves one without. The job goes on.
When the job ends, its exit status is that of attach.
"""

from __future__ import annotations

import argparse
import os
import shutil
from typing import TYPE_CHECKING

from afield.cli.jobs import LIVE, add_job, look, named
from afield.cli.parse import add_machine

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_job(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Attach."""
    job = named(args, terminal, args.job)
    if job["pty"] and job["state"] in LIVE:
        if os.isatty(0):
            terminal.note(f"attached to job {job['number']} ({job['name']}); Ctrl-\\ twice leaves it")
    else:
        # Nobody reads what is typed, so the terminal stays as it is and Ctrl-C is for us.
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
    lines = shutil.get_terminal_size().lines
    return look(args, [job["id"], "follow", "result", f"lines={lines}", *(["input"] if job["pty"] else [])])
