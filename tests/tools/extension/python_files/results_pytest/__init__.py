"""A plugin of pytest, loaded by name from a folder of PYTHONPATH: tells the editor of the tests there are and how each ended."""

import os

import channel
import pytest


def pytest_collection_finish(session):
    if session.config.option.collectonly:
        tests = [
            {"id": f"{item.path}::{item.nodeid.split('::', 1)[1]}", "line": item.location[1] + 1}
            for item in session.items
        ]
        root = os.environ.get("PROJECT_ROOT_PATH") or os.getcwd()
        channel.send({"cwd": root, "status": "success", "tests": tests})


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.when == "call":
        test = f"{item.path}::{item.nodeid.split('::', 1)[1]}"
        channel.send(
            {"cwd": os.getcwd(), "result": {test: {"outcome": report.outcome, "message": report.longreprtext}}}
        )
