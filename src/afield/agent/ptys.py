"""Pseudo-terminals: open one, size it, find who is in front  [P].

Nothing here reads or writes: a terminal's bytes go through the pumps like a pipe's.
"""

import fcntl
import os
import struct
import termios

from afield.agent.signals import c_signal
from afield.errors import SpawnFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

# What every terminal was before windows; used when the client does not know.
ROWS, COLS = 24, 80
# These mean everything in the terminal; the others are what a key would send to the program in front.
WHOLE_SESSION = (c_signal.SIGHUP, c_signal.SIGTERM, c_signal.SIGKILL)


def open_terminal(tty: "Dict[str, Any]") -> "Tuple[int, int]":
    """Give (master, slave) of a terminal with that size (``rows``, ``cols``) and those modes. Raises SpawnFailed.

    Modes as in RFC 4254, section 8: ``echo`` false is ECHO off, ``returns`` false is ONLCR off; all else as the system makes it.
    """
    try:
        master, slave = os.openpty()
    except OSError as error:
        raise SpawnFailed(
            "no terminal could be opened there: %s" % os.strerror(error.errno or 0),
            hint="too many terminals are open there (kernel.pty.max), or /dev/pts is not mounted",
        ) from None
    resize(master, tty.get("rows"), tty.get("cols"))
    if tty.get("echo") is False or tty.get("returns") is False:
        _set_modes(slave, tty)
    return master, slave


def _set_modes(fd: "int", tty: "Dict[str, Any]") -> "None":
    mode = termios.tcgetattr(fd)
    if tty.get("echo") is False:
        mode[3] &= ~termios.ECHO
    if tty.get("returns") is False:
        mode[1] &= ~termios.ONLCR
    termios.tcsetattr(fd, termios.TCSANOW, mode)


def resize(fd: "int", rows: "Any", cols: "Any") -> "None":
    """Set the window size; the kernel sends SIGWINCH to whoever is in front. Odd sizes become 24 by 80. Never raises."""
    if not (isinstance(rows, int) and 0 < rows < 65536):
        rows = ROWS
    if not (isinstance(cols, int) and 0 < cols < 65536):
        cols = COLS
    try:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    except OSError:  # the program has gone
        pass


def groups(fd: "int", leader: "int", number: "int") -> "List[int]":
    """Give the process groups that a signal is meant for: the one in front of the terminal fd, else (or too) the leader's.

    fd is negative when there is no terminal or it is closed.
    """
    try:
        front = os.tcgetpgrp(fd) if fd >= 0 else 0
    except OSError:
        front = 0
    if front <= 0 or front == leader:
        return [leader]
    return [front, leader] if number in WHOLE_SESSION else [front]


def send_end(fd: "int") -> "None":
    """Type the end-of-file character, as a person at the terminal would. Raises OSError."""
    os.write(fd, termios.tcgetattr(fd)[6][termios.VEOF])


def unread(fd: "int") -> "int":
    """Bytes that lie in a pipe or terminal, ready to be read; 0 when that cannot be told."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0])
    except OSError:
        return 0
