"""Its package, beside it: runs pytest and tells of each result."""

import argparse
import json
import pathlib

import pytest


class Told:
    def __init__(self, stream):
        self.stream, self.results = stream, {}

    def pytest_configure(self, config):
        self.root = config.rootpath

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            path, *names = report.nodeid.split("::")
            name = "::".join([str(pathlib.Path(self.root, path)), *names])
            self.results[name] = {"status": report.outcome, "short": report.longreprtext}
            self.stream.write(json.dumps({"id": name, "result": self.results[name]}) + "\n")
            self.stream.flush()


def main(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("--runner", required=True)
    parser.add_argument("--results-file", required=True)
    parser.add_argument("--stream-file", required=True)
    parser.add_argument("args", nargs="*")
    given = parser.parse_args(argv)
    assert given.runner == "pytest"
    with open(given.stream_file, "w", encoding="utf-8") as stream:
        told = Told(stream)
        pytest.main(given.args, plugins=[told])
    with open(given.results_file, "w", encoding="utf-8") as file:
        json.dump(told.results, file)
