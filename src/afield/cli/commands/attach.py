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
from afield.cli.terminal import one_line

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_job(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Attach."""
    job = named(args, terminal, args.job)
    keys = bool(job["pty"] and job["state"] in LIVE)
    if keys and os.isatty(0):
        terminal.note(f"attached to job {job['number']} ({one_line(job['name'])}); Ctrl-\\ twice leaves it")
    lines = shutil.get_terminal_size().lines
    return look(args, [job["id"], "follow", "result", f"lines={lines}", *(["input"] if job["pty"] else [])], keys=keys)
