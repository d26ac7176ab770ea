"""Runs the script named by the first argument, or -c or -m, between two lines that tell its output from a login shell's."""

import runpy
import sys

print(">>>OUTPUT")
sys.argv = sys.argv[1:]
if sys.argv[0] == "-c":
    code = sys.argv.pop(1)
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
elif sys.argv[0] == "-m":
    sys.argv.pop(0)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    runpy.run_path(sys.argv[0], run_name="__main__")
print("<<<OUTPUT")
