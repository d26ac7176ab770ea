"""debugpy in the five ways that editors start it; a breakpoint set by its path here must stop there."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.timeout(25)

PROGRAM = "def f(x):\n    y = x * 2\n    return y\nimport os\nprint(f(21), os.uname().nodename)\n"


class Client:
    """The debug adapter protocol over a pair of files; answers are found by number, events by name."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.number, self.seen = reader, writer, 0, []

    def send(self, command, **arguments):
        self.number += 1
        body = json.dumps({"seq": self.number, "type": "request", "command": command, "arguments": arguments}).encode()
        self.writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.writer.flush()
        return self.number

    def read(self):
        size = 0
        while line := self.reader.readline().strip():
            size = int(line.split(b":")[1]) if line.lower().startswith(b"content-length") else size
        assert size, f"the adapter ended after {[each.get('event') or each.get('command') for each in self.seen]}"
        value = json.loads(self.reader.read(size))
        self.seen.append(value)
        return value

    def until(self, test):
        for value in self.seen:
            if test(value):
                self.seen.remove(value)
                return value
        while True:
            value = self.read()
            if test(value):
                self.seen.remove(value)
                return value

    def answer(self, number):
        value = self.until(lambda each: each["type"] == "response" and each["request_seq"] == number)
        assert value["success"], value
        return value.get("body") or {}

    def ask(self, command, **arguments):
        return self.answer(self.send(command, **arguments))

    def event(self, name):
        return self.until(lambda each: each["type"] == "event" and each["event"] == name).get("body") or {}


def debug(client, tools, command, arguments, *, started=None):
    """A whole session: stop at line 2, look at x, go on to the end."""
    path = str(tools.project / "prog.py")
    client.ask("initialize", adapterID="debugpy", pathFormat="path", linesStartAt1=True, columnsStartAt1=True)
    number = client.send(command, **arguments)
    if started is not None:
        started(client)
    client.event("initialized")
    found = client.ask("setBreakpoints", source={"path": path}, breakpoints=[{"line": 2}])
    assert found["breakpoints"][0]["verified"]
    client.ask("configurationDone")
    client.answer(number)
    thread = client.event("stopped")["threadId"]
    frame = client.ask("stackTrace", threadId=thread)["stackFrames"][0]
    assert (frame["line"], frame["source"]["path"]) == (2, path)
    assert client.ask("evaluate", expression="x + 1", frameId=frame["id"])["result"] == "22"
    client.ask("continue", threadId=thread)
    client.event("terminated")


@pytest.fixture
def start(tools):
    """Start a process of here whose pipes end with the test."""
    made = []

    def begin(*words, **more):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, **more}
        made.append(tools.popen(*words, **pipes))
        return made[-1]

    tools.write("prog.py", PROGRAM)
    yield begin
    for process in made:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def adapter(process):
    return Client(process.stdout, process.stdin)


def here(tools):
    return tools.env["PATH"].split(":")[0] + "/python"


def free_port(tools):
    code = "import socket; s=socket.socket(); s.bind(('127.0.0.1',0)); print(s.getsockname()[1])"
    return int(tools.run(here(tools), "-c", code).stdout)


LAUNCH = {"type": "python", "request": "launch", "console": "internalConsole"}


def launch(tools, **more):
    return {**LAUNCH, "program": str(tools.project / "prog.py"), "cwd": str(tools.project), **more}


def test_adapter_there_as_a_module(tools, way, start):
    debug(adapter(start(tools.python, "-m", "debugpy.adapter")), tools, "launch", launch(tools))


def test_adapter_there_from_a_folder_of_here(tools, way, start):
    folder = tools.tool("python", "-c", "import debugpy; print(debugpy.__path__[0])").stdout.strip()
    debug(adapter(start(tools.python, f"{folder}/adapter")), tools, "launch", launch(tools, python=[tools.python]))


def test_adapter_here_and_the_program_there(tools, way, start):
    debug(adapter(start(here(tools), "-m", "debugpy.adapter")), tools, "launch", launch(tools, python=[tools.python]))


def test_listen(tools, way, start):
    port = free_port(tools)
    start(tools.python, "-m", "debugpy", "--listen", str(port), "--wait-for-client", tools.project / "prog.py")
    tools.wait_for_port(port)
    # An editor talks to that port itself.
    arguments = {"type": "python", "request": "attach", "connect": {"host": "127.0.0.1", "port": port}}
    debug(adapter(start("socat", "-", f"TCP:127.0.0.1:{port}")), tools, "attach", arguments)


def test_connect(tools, way, start):
    port = free_port(tools)
    arguments = {"type": "python", "request": "attach", "listen": {"host": "127.0.0.1", "port": port}}

    def begin(client):
        client.event("debugpyWaitingForServer")
        start(tools.python, "-m", "debugpy", "--connect", f"127.0.0.1:{port}", tools.project / "prog.py")

    debug(adapter(start(here(tools), "-m", "debugpy.adapter")), tools, "attach", arguments, started=begin)
