"""A command without the powers of root, for tests of what permissions forbid."""

import os
import shutil

import pytest


def as_nobody_special(argv):
    """The command line without the powers that make permissions mean nothing to root (capabilities(7))."""
    if os.geteuid() != 0:
        return argv
    if shutil.which("setpriv") is None:
        pytest.skip("root without setpriv: permissions mean nothing")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", *argv]
