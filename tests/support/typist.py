"""Somebody at a terminal: starts a program in a pty of its own, reads the screen, types. Every wait is bounded."""

import os
import pty
import select
import signal
import subprocess
import time

SECONDS = 40.0


class Typist:
    """``with Typist(argv, cwd=…, env=…) as person``: ``wait_for(text)`` reads on until text came, ``type(text)`` answers."""

    def __init__(self, argv, **more):
        master, slave = pty.openpty()
        # The program must own the terminal: ssh and sudo ask on /dev/tty.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *argv], stdin=slave, stdout=slave, stderr=slave, **more
        )
        os.close(slave)
        self._master = master
        self.seen = ""
        self._read_to = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._master)

    def _read(self, seconds):
        """Read what comes within that time; False at the end of the terminal."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: nobody holds the other end any more
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def wait_for(self, text, seconds=SECONDS):
        """Read until text came after what was waited for before; AssertionError with the screen otherwise."""
        end = time.monotonic() + seconds
        while (at := self.seen.find(text, self._read_to)) < 0:
            alive = self._read(0.2)
            assert alive, f"the program ended before {text!r}: {self.seen!r}"
            assert time.monotonic() < end, f"{text!r} did not come within {seconds} s: {self.seen!r}"
        self._read_to = at + len(text)
        return self

    def type(self, text):
        os.write(self._master, text.encode())
        return self

    def finish(self, seconds=SECONDS):
        """Read to the end; gives the exit status."""
        end = time.monotonic() + seconds
        while self._read(0.2) and self.process.poll() is None:
            assert time.monotonic() < end, f"it did not end within {seconds} s: {self.seen!r}"
        while self._read(0.0) and select.select([self._master], [], [], 0)[0]:
            pass
        return self.process.wait(max(0.1, end - time.monotonic()))
