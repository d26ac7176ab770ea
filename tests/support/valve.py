"""ssh's ProxyCommand with a valve: stdio <-> HOST:PORT, and a control file that says what passes.

    valve.py HOST PORT CONTROL

CONTROL holds ``open`` (all passes), ``hold`` (nothing passes, nothing is lost: a silent network) or ``cut`` (the connection is
dropped at once, and new ones are refused). Standard library, threads, blocking.
"""

import os
import socket
import sys
import threading
import time

host, port, control = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def state():
    try:
        with open(control) as file:
            return file.read().strip()
    except OSError:
        return "open"


def pump(read, write):
    while True:
        try:
            data = read(65536)
        except OSError:
            data = b""
        while state() == "hold":
            time.sleep(0.02)
        if not data:
            os._exit(0)
        write(data)


if state() == "cut":
    sys.exit(1)
while state() == "hold":
    time.sleep(0.02)
line = socket.create_connection((host, port), timeout=20)
line.settimeout(None)
line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def write_out(data):
    while data:
        data = data[os.write(1, data) :]


threading.Thread(target=pump, args=(lambda n: os.read(0, n), line.sendall), daemon=True).start()
threading.Thread(target=pump, args=(line.recv, write_out), daemon=True).start()
while state() != "cut":
    time.sleep(0.02)
os._exit(1)
