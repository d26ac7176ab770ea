"""Runs the unittest tests that the file of RUN_TEST_IDS_PIPE lists and tells the editor how each ended; with coverage when asked."""

import os
import pathlib
import sys
import unittest

sys.path.append(str(pathlib.Path(__file__).parent))
sys.path.append(str(pathlib.Path(__file__).parent.parent))
import channel
import common


class Result(unittest.TextTestResult):
    def addSuccess(self, test):
        super().addSuccess(test)
        channel.send({"cwd": given.s, "result": {test.id(): {"outcome": "success"}}})

    def addFailure(self, test, err):
        super().addFailure(test, err)
        channel.send({"cwd": given.s, "result": {test.id(): {"outcome": "failure", "traceback": self.failures[-1][1]}}})


given = common.arguments()
wanted = channel.take_ids()
measured = None
if root := os.environ.get("COVERAGE_ENABLED"):
    import coverage

    measured = coverage.Coverage(branch=True, source=[root])
    measured.start()
suite = unittest.TestSuite(
    test for test in common.flat(unittest.TestLoader().discover(given.s, given.p, given.t)) if test.id() in wanted
)
unittest.TextTestRunner(resultclass=Result, stream=sys.stdout).run(suite)
if measured is not None:
    measured.stop()
    measured.save()
    found = {path: measured.analysis2(path)[3] for path in measured.get_data().measured_files()}
    channel.send({"coverage": True, "cwd": given.s, "result": found})
