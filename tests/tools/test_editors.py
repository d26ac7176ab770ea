"""Editors that keep an interpreter at their side: Neovim's Python provider, Emacs' run-python, neotest's runs, and PET's rules."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(60)

needs_nvim = pytest.mark.skipif(not shutil.which("nvim"), reason="no nvim on this machine: make packages")
needs_emacs = pytest.mark.skipif(not shutil.which("emacs"), reason="no emacs on this machine: make packages")


# ---- Neovim

PLUGIN = """\
let seen = {'has': has('python3')}
py3 import os, vim
let seen['node'] = py3eval('os.uname().nodename')
let seen['cwd'] = py3eval('os.getcwd()')
let seen['executable'] = py3eval('__import__("sys").executable')
py3 vim.current.buffer.append("# " + str(6 * 7))
py3 vim.command("let seen['name'] = bufname('%')")
py3file more.py
let seen['said'] = execute("py3 print('a line')")
let seen['file'] = py3eval('open(vim.current.buffer.name).read()')
try
  py3 1 / 0
catch
  let seen['error'] = v:exception
endtry
let seen['lines'] = getline(1, '$')
let seen['bytes'] = py3eval('"é" * 3')
call writefile([json_encode(seen)], 'seen.json')
qa!
"""


@needs_nvim
def test_neovim_python_provider(tools, way):
    tools.write("code.py", "x = 1\n")
    tools.write("more.py", "vim.current.buffer.append('# of ' + os.uname().nodename)\n")
    plugin = tools.write("plugin.vim", PLUGIN)
    words = ["--headless", "-u", "NONE", "-i", "NONE", "-n", "--cmd", f"let g:python3_host_prog = '{tools.python}'"]
    done = tools.run(shutil.which("nvim"), *words, "code.py", "-S", plugin)
    assert (tools.project / "seen.json").exists(), done.stderr
    seen = json.loads((tools.project / "seen.json").read_text())
    assert (seen["has"], seen["node"], seen["name"]) == (1, "a", "code.py")
    assert seen["lines"] == ["x = 1", "# 42", "# of a"]
    assert seen["said"].strip() == "a line"
    assert seen["file"] == "x = 1\n"
    assert "ZeroDivisionError" in seen["error"]
    assert seen["bytes"] == "ééé"
    # Plugins start this one again for tools of theirs.
    assert (seen["cwd"], seen["executable"]) == (str(tools.project), tools.python)


# ---- Emacs

SESSION = """\
(require 'cl-lib)
(require 'python)
(setq python-shell-interpreter (getenv "T_PYTHON")
      python-shell-interpreter-args "-i"
      python-shell-completion-native-enable nil)
(run-python nil nil nil)
(let* ((process (python-shell-get-process)) (screen (process-buffer process)) (seen '()))
  (cl-labels ((ask (code) (push (python-shell-send-string-no-output code process) seen))
              (wait-for-prompt (after)
                (while (not (with-current-buffer screen
                              (save-excursion (goto-char after) (search-forward ">>> " nil t))))
                  (accept-process-output process 0.1))))
    (wait-for-prompt 1)
    (ask "import os; print(os.uname().nodename, 6 * 7)")
    (ask (concat "print(len('" (make-string 1400 ?x) "'))"))
    (ask "import sys; print(sys.stdin.isatty(), os.environ['TERM'])")
    (find-file "code.py")
    (let ((before (with-current-buffer screen (point-max))))
      (python-shell-send-buffer)
      (wait-for-prompt before))
    (ask "print(double(21))")
    (let ((words (if (eql 3 (cdr (func-arity #'python-shell-completion-get-completions))) '(nil "doub") '("doub"))))
      (push (format "%s" (car (apply #'python-shell-completion-get-completions process words))) seen))
    (process-send-eof process)
    (while (process-live-p process) (accept-process-output process 0.1))
    (push (symbol-name (process-status process)) seen)
    (with-temp-file "seen.txt" (insert (mapconcat #'identity (nreverse seen) "\n")))))
"""


@needs_emacs
def test_emacs_run_python(tools, way):
    tools.write("code.py", "def double(x):\n    return 2 * x\n")
    session = tools.write("session.el", SESSION)
    # readline would echo what is typed at it; Emacs sets TERM to dumb for what runs in it.
    env = {"T_PYTHON": tools.python, "PYTHON_BASIC_REPL": "1"}
    done = tools.run(shutil.which("emacs"), "-Q", "--batch", "-l", session, env=env)
    assert (tools.project / "seen.txt").exists(), done.stderr
    seen = (tools.project / "seen.txt").read_text()
    assert seen.count("\n") == 5, seen
    node, length, terminal, double, completed, end = seen.split("\n")
    assert (node, length, terminal, double, end) == ("a 42", "1400", "True dumb", "42", "exit")
    assert completed.startswith("double")


# ---- neotest

# What neotest's adapter for Python does, with its command lines; a plugin is no package of an index, so its script is our own.
NEOTEST = """\
local root, script, test, go = vim.fn.getcwd(), vim.env.T_SCRIPT, vim.env.T_TEST, vim.env.T_GO
local seen = {streamed = {}}
local python = vim.fn.fnamemodify(vim.fn.glob(root .. '/.*/pyvenv.cfg'), ':h') .. '/bin/python'
seen.python = python
vim.fn.system({python, '-c', 'import pytest'})
seen.runner = vim.v.shell_error == 0 and 'pytest' or 'unittest'
local results, stream = vim.fn.tempname(), vim.fn.tempname()
vim.fn.writefile({}, stream)
local words = {python, script, '--results-file', results, '--stream-file', stream, '--runner', seen.runner, '--', '-q', test}
local job = vim.fn.jobstart(words, {pty = true})
vim.wait(20000, function() return #vim.fn.readfile(stream) == 1 end, 20)
seen.streamed = vim.fn.readfile(stream)
vim.fn.writefile({}, go)
seen.code = vim.fn.jobwait({job}, 20000)[1]
seen.results = vim.fn.readfile(results)
seen.lines = vim.fn.readfile(stream)
vim.fn.writefile({vim.fn.json_encode(seen)}, 'seen.json')
vim.cmd('qa!')
"""
CASES = """\
import os, time

class TestIt:
    def test_first(self):
        assert os.uname().nodename == 'a'

    def test_second(self):
        end = time.monotonic() + 20
        while not os.path.exists('go'):
            assert time.monotonic() < end
            time.sleep(0.02)
        assert 1 == 2
"""


@needs_nvim
def test_neotest(tools, way):
    path = tools.write("tests/test_it.py", CASES)
    tools.write("pytest.ini", "[pytest]\n")
    plugin = tools.world.home / ".local/share/nvim/lazy/neotest-python"
    shutil.copytree(Path(__file__).with_name("extension") / "neotest-python", plugin)
    env = {"T_SCRIPT": str(plugin / "neotest.py"), "T_TEST": f"{path}::TestIt", "T_GO": str(tools.project / "go")}
    words = ["--headless", "-u", "NONE", "-i", "NONE", "-n", "-S", tools.write("run.lua", NEOTEST)]
    done = tools.run(shutil.which("nvim"), *words, env=env)
    assert (tools.project / "seen.json").exists(), done.stderr
    seen = json.loads((tools.project / "seen.json").read_text())
    assert (seen["python"], seen["runner"], seen["code"]) == (tools.python, "pytest", 0)
    # A result is shown as soon as its test ended.
    (first,) = map(json.loads, seen["streamed"])
    assert (first["id"], first["result"]["status"]) == (f"{path}::TestIt::test_first", "passed")
    results = json.loads(seen["results"][0])
    assert {name: each["status"] for name, each in results.items()} == {
        f"{path}::TestIt::test_first": "passed",
        f"{path}::TestIt::test_second": "failed",
    }
    assert len(seen["lines"]) == 2


# ---- Microsoft's python-environment-tools


def test_python_environment_tools(tools, way):
    """Its rules, not its program, which comes with VS Code only: how it knows a virtual environment without starting it."""
    folder = tools.project / ".afield"
    config = (folder / "pyvenv.cfg").read_text().splitlines()
    (version,) = [found[1] for line in config if (found := re.match(r"version\s*=\s*(\d+\.\d+\.\d+)$", line))]
    assert version == tools.shim("-c", "import platform; print(platform.python_version())").stdout.strip()
    assert any(re.match(r"prompt\s*=\s*\S", line) for line in config)
    # With this key VS Code would install with uv, which writes into the mirror.
    assert not any(line.startswith("uv") for line in config)
    # It looks for bin/python, then takes every file of bin with such a name for the same one.
    names = sorted(each.name for each in (folder / "bin").iterdir() if re.match(r"python(\d+\.?)*$", each.name))
    assert names == ["python", "python3", "python" + version.rpartition(".")[0]]
    for name in names:
        assert (folder / "bin" / name).is_file()
        assert os.access(folder / "bin" / name, os.X_OK)
    # Headers would be read first for the version, and these would make it another kind.
    for other in ("include", "conda-meta", "Scripts", "bin/activate"):
        assert not (folder / other).exists()
    # Asked to resolve an interpreter it starts it, within 15 s, and takes what that says for the environment.
    code = "import json, sys; print('093385e9');print(json.dumps({'version': '.'.join(str(n) for n in sys.version_info), 'sys_prefix': sys.prefix, 'executable': sys.executable, 'is64_bit': sys.maxsize > 2**32}))"
    for name in names:
        done = tools.run(folder / "bin" / name, "-c", code, timeout=15)
        said = json.loads(done.stdout.partition("093385e9")[2])
        assert said["version"].startswith(version + ".")
        assert (said["executable"], said["sys_prefix"]) == (str(folder / "bin/python"), str(folder))
