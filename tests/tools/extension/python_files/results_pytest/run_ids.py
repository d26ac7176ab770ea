"""Runs pytest on the tests that the file of RUN_TEST_IDS_PIPE lists."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parent.parent))
sys.path.insert(0, "")
import channel

sys.exit(pytest.main(["-p", "results_pytest", *sys.argv[1:], *channel.take_ids()]))
