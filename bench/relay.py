"""An emulated link as ssh's ProxyCommand: stdio <-> HOST:PORT, each way delayed and held to a rate.

    relay.py HOST PORT DELAY RATE

DELAY: seconds one way. RATE: bytes per second, 0 for no limit. Each way has a queue of 4 MiB, as deep as a home router's or a
kernel's buffers are in practice; whoever fills it waits in it. Standard library, poll, no threads.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections import deque

QUEUE = 4 << 20
STEP = 0.004  # s; the rate is kept over steps of this length


class Way:
    """One direction: read from one descriptor, written to another after the delay, at the rate."""

    def __init__(self, source: int, sink: int, delay: float, rate: float) -> None:
        self.source, self.sink, self.delay, self.rate = source, sink, delay, rate
        self.queue: deque[tuple[float, memoryview]] = deque()
        self.size = 0
        self.free = 0.0  # when the next byte may leave
        self.ended = self.done = False

    def take(self, now: float) -> None:
        try:
            data = os.read(self.source, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.ended = True
        else:
            self.size += len(data)
            self.queue.append((now + self.delay, memoryview(data)))

    def due(self) -> float | None:
        return max(self.queue[0][0], self.free) if self.queue else None

    def give(self, now: float) -> bool:
        """Write what may leave now; False when the sink is full."""
        while self.queue and max(self.queue[0][0], self.free) <= now:
            at, data = self.queue[0]
            part = data[: max(1500, int(self.rate * STEP))] if self.rate else data
            try:
                count = os.write(self.sink, part)
            except BlockingIOError:
                return False
            except OSError:
                self.ended = True
                self.queue.clear()
                return True
            self.size -= count
            if self.rate:
                self.free = max(self.free, now - STEP) + count / self.rate
            if count == len(data):
                self.queue.popleft()
            else:
                self.queue[0] = (at, data[count:])
        return True


def main() -> None:
    host, port, delay, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    link = socket.create_connection((host, port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for fd in (0, 1, link.fileno()):
        os.set_blocking(fd, False)
    ways = [Way(0, link.fileno(), delay, rate), Way(link.fileno(), 1, delay, rate)]
    full: set[int] = set()
    while not all(way.done for way in ways):
        now = time.monotonic()
        poll = select.poll()
        events: dict[int, int] = {}
        timeout = None
        for index, way in enumerate(ways):
            if not way.ended and way.size < QUEUE:
                events[way.source] = events.get(way.source, 0) | select.POLLIN
            if index in full:
                events[way.sink] = events.get(way.sink, 0) | select.POLLOUT
            elif (due := way.due()) is not None:
                timeout = min(timeout if timeout is not None else 1e9, max(0.0, due - now))
        for fd, mask in events.items():
            poll.register(fd, mask)
        ready = dict(poll.poll(None if timeout is None else timeout * 1000 + 0.5))
        now = time.monotonic()
        full.clear()
        for index, way in enumerate(ways):
            if ready.get(way.source, 0) & (select.POLLIN | select.POLLHUP | select.POLLERR) and not way.ended:
                way.take(now)
            if not way.give(now):
                full.add(index)
            if way.ended and not way.queue and not way.done:
                way.done = True
                if index == 0:
                    link.shutdown(socket.SHUT_WR)
                else:
                    return


if __name__ == "__main__":
    main()
