"""Runs a command and writes into a file, which an editor watches, that it began and how it ended."""

import subprocess
import sys

*command, path = sys.argv[1:]
with open(path, "w", encoding="utf-8") as file:
    file.write("START\n")
    file.flush()
    code = subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
    file.write(f"END {code}\n")
