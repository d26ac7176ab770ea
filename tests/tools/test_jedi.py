"""jedi and the language servers on it: they keep one process there and talk to it in pickles."""

import json
import subprocess

CODE = """\
import jedi, sys
env = jedi.create_environment(sys.argv[1], safe=False)
print(env.executable)
script = jedi.Script("import numpy\\nnumpy.zer", environment=env)
print([each.name for each in script.complete(2, 9)])
script = jedi.Script("import coverage\\ncoverage.Coverage", environment=env)
print([str(each.module_path) for each in script.goto(2, 12, follow_imports=True)])
"""


def test_jedi_completes_from_what_is_installed_there(tools, way):
    tools.write("ask.py", CODE)
    lines = tools.run(tools.env["PATH"].split(":")[0] + "/python", "ask.py", tools.python).stdout.splitlines()
    assert "zeros" in lines[1]


def test_jedi_goes_to_a_file_that_is_here(tools, mirror, way):
    tools.write("ask.py", CODE)
    lines = tools.run(tools.env["PATH"].split(":")[0] + "/python", "ask.py", tools.python).stdout.splitlines()
    path = eval(lines[2])[0]
    with open(path) as file:
        assert "class Coverage" in file.read()


class Server:
    """A language server on pipes, as an editor has it."""

    def __init__(self, tools, *words):
        self.process = tools.popen(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.number = 0
        self.root = tools.project.as_uri()

    def send(self, method, params, **more):
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def ask(self, method, params):
        self.number += 1
        self.send(method, params, id=self.number)
        while True:
            size = 0
            while line := self.process.stdout.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            assert size, "the server ended"
            value = json.loads(self.process.stdout.read(size))
            if value.get("id") == self.number and "method" not in value:
                return value["result"]
            if "method" in value and "id" in value:
                body = json.dumps({"jsonrpc": "2.0", "id": value["id"], "result": None}).encode()
                self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
                self.process.stdin.flush()

    def open(self, tools, options, text):
        where = tools.write("main.py", text)
        self.ask(
            "initialize",
            {"processId": None, "rootUri": self.root, "capabilities": {}, "initializationOptions": options},
        )
        self.send("initialized", {})
        self.send(
            "workspace/didChangeConfiguration", {"settings": {"pylsp": {"plugins": {"jedi": options.get("jedi", {})}}}}
        )
        item = {"uri": where.as_uri(), "languageId": "python", "version": 1, "text": text}
        self.send("textDocument/didOpen", {"textDocument": item})
        return where.as_uri()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def labels(result):
    items = result["items"] if isinstance(result, dict) else result
    return {item["label"].partition("(")[0] for item in items}


def test_jedi_language_server_here(tools, way):
    with Server(tools, tools.env["PATH"].split(":")[0] + "/jedi-language-server") as server:
        uri = server.open(tools, {"workspace": {"environmentPath": tools.python}}, "import numpy\nnumpy.zer")
        found = server.ask(
            "textDocument/completion", {"textDocument": {"uri": uri}, "position": {"line": 1, "character": 9}}
        )
    assert "zeros" in labels(found)


def test_jedi_language_server_there(tools, way):
    with Server(tools, tools.python, "-c", "from jedi_language_server.cli import cli; cli()") as server:
        uri = server.open(tools, {}, "import numpy\nnumpy.zer\nimport helper\nhelper.func\n")
        tools.write("helper.py", "def func():\n    pass\n")
        found = server.ask(
            "textDocument/completion", {"textDocument": {"uri": uri}, "position": {"line": 1, "character": 9}}
        )
        assert "zeros" in labels(found)
        where = {"textDocument": {"uri": uri}, "position": {"line": 3, "character": 9}}
        (place,) = server.ask("textDocument/definition", where)
    assert place["uri"] == (tools.project / "helper.py").as_uri()


def test_pylsp(tools, way):
    with Server(tools, tools.env["PATH"].split(":")[0] + "/pylsp") as server:
        uri = server.open(tools, {"jedi": {"environment": tools.python}}, "import numpy\nnumpy.zer")
        found = server.ask(
            "textDocument/completion", {"textDocument": {"uri": uri}, "position": {"line": 1, "character": 9}}
        )
    assert "zeros" in labels(found)
