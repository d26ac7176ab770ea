"""What discovery and execution share: the arguments after --udiscovery, and the tests of a suite."""

import argparse
import os
import sys


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("-v", action="store_true")
    parser.add_argument("-s", default=".")
    parser.add_argument("-p", default="test*.py")
    parser.add_argument("-t")
    given = parser.parse_args(sys.argv[sys.argv.index("--udiscovery") + 1 :])
    given.s = os.path.abspath(given.s)
    sys.path.insert(0, given.s)
    return given


def flat(suite):
    for each in suite:
        if hasattr(each, "__iter__"):
            yield from flat(each)
        else:
            yield each
