"""The tree code under every Python that a place may have: the same input gives the same output, byte for byte."""

import pathlib
import subprocess
import sys

import pytest
import pythons

import afield

SCRIPT = pathlib.Path(__file__).with_name("self_check.py")
PACKAGE = pathlib.Path(afield.__file__).parent.parent


def run(python):
    done = subprocess.run(
        [python, "-I", "-S", str(SCRIPT), str(PACKAGE)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def expected():
    return run(sys.executable)


@pytest.mark.pythons
@pytest.mark.parametrize("python", pythons.found().values(), ids=[f"3.{minor}" for minor in pythons.found()])
def test_the_same_input_gives_the_same_output_under_every_python(python, expected):
    assert run(python) == expected
