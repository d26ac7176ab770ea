"""Sends results as frames into the named pipe that TEST_RUN_PIPE names, opened once and kept to the end."""

import atexit
import json
import os

_open = []


def send(message):
    if not _open:
        _open.append(open(os.environ["TEST_RUN_PIPE"], "wb"))  # noqa: SIM115 - kept to the end
        atexit.register(_open[0].close)
    data = json.dumps({"jsonrpc": "2.0", "params": message})
    frame = f"content-length: {len(data)}\r\ncontent-type: application/json\r\n\r\n{data}".encode()
    for start in range(0, len(frame), 4096):
        _open[0].write(frame[start : start + 4096])
        _open[0].flush()


def take_ids():
    """The ids of the tests to run; the file is removed once it was read."""
    path = os.environ["RUN_TEST_IDS_PIPE"]
    with open(path, encoding="utf-8") as file:
        ids = file.read().splitlines()
    os.unlink(path)
    return ids
