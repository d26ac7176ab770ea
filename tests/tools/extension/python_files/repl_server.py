"""Executes what comes in frames on stdin in one namespace and answers in frames on stdout: the editor's own prompt."""

import contextlib
import io
import json
import sys
import traceback

STREAM = sys.stdout.buffer
NAMES = {"__name__": "__main__"}


def send(message):
    data = json.dumps({"jsonrpc": "2.0", **message}).encode()
    STREAM.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
    STREAM.flush()


def run(code):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            exec(compile(code, "<prompt>", "exec"), NAMES)
        except BaseException:
            traceback.print_exc()
            return {"status": False, "output": printed.getvalue()}
    return {"status": True, "output": printed.getvalue()}


def main():
    while True:
        size = 0
        while line := sys.stdin.buffer.readline().strip():
            size = int(line.split(b":")[1]) if line.lower().startswith(b"content-length") else size
        if not size:
            return
        asked = json.loads(sys.stdin.buffer.read(size))
        if asked["method"] == "exit":
            return
        send({"id": asked["id"], "result": run(asked["params"][0])})


main()
