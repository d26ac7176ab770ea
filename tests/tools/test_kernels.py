"""ipykernel started by Jupyter's own client: connection file outside the project, ports from there to here, interrupt, restart."""

import json

import pytest
from typist import Typist

pytestmark = pytest.mark.timeout(40)

KERNEL = """\
import sys, os, json, pathlib, nbclient, nbformat
folder = pathlib.Path("kernels/far")
folder.mkdir(parents=True)
spec = {"argv": [sys.argv[1], "-m", "ipykernel_launcher", "-f", "{connection_file}"], "language": "python", "display_name": "far"}
(folder / "kernel.json").write_text(json.dumps(spec))
os.environ["JUPYTER_PATH"] = os.getcwd()
"""

NOTEBOOK = (
    KERNEL
    + """
nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import os; print(os.uname().nodename, 6 * 7)")])
done = nbclient.NotebookClient(nb, kernel_name="far", timeout=60).execute()
print(done.cells[0].outputs[0].text.strip())
"""
)

INTERRUPT = (
    KERNEL
    + """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="far")
def run(code, interrupt=False):
    number, told = client.execute(code), []
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != number:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            told.append(content["text"].strip())
            if interrupt:
                manager.interrupt_kernel()
        elif kind == "error":
            told.append(content["ename"])
        elif kind == "status" and content["execution_state"] == "idle":
            break
    while (reply := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != number:
        pass
    # For a moment after an error a kernel drops what it is asked.
    return run(code) if reply["content"]["status"] == "aborted" else told[-1]
told = [run("import time; print('on', flush=True); time.sleep(60)", interrupt=True), run("print(7)")]
manager.restart_kernel(now=True)
client.wait_for_ready(timeout=60)
told.append(run("print(8)"))
manager.shutdown_kernel()
pathlib.Path("told.json").write_text(json.dumps(told))
"""
)


def python_here(tools):
    return tools.env["PATH"].split(":")[0] + "/python"


def test_nbclient(tools, way):
    tools.write("run.py", NOTEBOOK)
    assert tools.run(python_here(tools), "run.py", tools.python).stdout.splitlines()[-1] == "a 42"


def test_kernel_interrupt_and_restart(tools, way):
    tools.write("run.py", INTERRUPT)
    tools.run(python_here(tools), "run.py", tools.python, timeout=35)
    # Not from the output: the kernels write to the same stream, also into the middle of a line.
    assert json.loads((tools.project / "told.json").read_text()) == ["KeyboardInterrupt", "7", "8"]


def test_jupyter_console(tools, way):
    """Both faces of it: a plain prompt, and one that draws (prompt_toolkit) and completes."""
    spec = {"argv": [tools.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    tools.write("kernels/far/kernel.json", json.dumps({**spec, "language": "python", "display_name": "far"}))
    home = tools.world.root
    env = {
        **tools.env,
        "JUPYTER_PATH": str(tools.project),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "TERM": "vt100",
    }
    env |= {"IPYTHONDIR": str(home / "ipython"), "JUPYTER_CONFIG_DIR": str(home / "jupyter")}
    console = [*tools.world.lab.client, python_here(tools), "-m", "jupyter_console", "--kernel", "far"]
    with Typist([*console, "--simple-prompt"], cwd=tools.project, env=env) as person:
        person.wait_for("In [1]: ").type("import os; os.uname().nodename, 6 * 7\n")
        person.wait_for("('a', 42)").wait_for("In [2]: ").type("name = input('who? ')\n")
        person.wait_for("who? ").type("me\n").wait_for("In [3]: ").type("name * 2\n")
        person.wait_for("'meme'").wait_for("In [4]: ").type("exit()\n")
        assert person.finish() == 0
    with Typist(console, cwd=tools.project, env={**env, "PROMPT_TOOLKIT_NO_CPR": "1"}) as person:
        person.wait_for("In [").type("import os; print('na' + 'med')\r")
        person.wait_for("named").wait_for("In [").type("os.unam\t").wait_for("uname").type("().nodename * 2\r")
        person.wait_for("'aa'").wait_for("In [").type("exit()\r")
        assert person.finish() == 0
