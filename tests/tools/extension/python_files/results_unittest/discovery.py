"""Tells the editor of the unittest tests below a folder, each with its file and line."""

import inspect
import pathlib
import sys
import unittest

sys.path.append(str(pathlib.Path(__file__).parent))
sys.path.append(str(pathlib.Path(__file__).parent.parent))
import channel
import common

given = common.arguments()
tests = []
for test in common.flat(unittest.TestLoader().discover(given.s, given.p, given.t)):
    method = getattr(type(test), test._testMethodName)
    place = {"path": inspect.getsourcefile(type(test)), "line": inspect.getsourcelines(method)[1]}
    tests.append({"id": test.id(), **place})
channel.send({"cwd": given.s, "status": "success", "tests": tests})
