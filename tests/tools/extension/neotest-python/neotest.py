"""The script of a Neovim plugin for tests: runs one, writes each result as a line into a file that is watched, and all into another."""

import pathlib
import sys

before = sys.path[:]
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from results_of import main

sys.path[:] = before
main(sys.argv[1:])
