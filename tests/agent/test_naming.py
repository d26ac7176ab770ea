"""The names that the agent gives are SHA-256 under every Python, and no OpenSSL is loaded for them."""

import hashlib
import os
import subprocess

SAID = """
import os, sys
sys.path.insert(0, sys.argv[1])
from afield.agent.naming import sha256
os.write(1, sha256(b"abc").hex().encode("ascii"))
sys.exit("_hashlib" in sys.modules)
"""


def test_names_are_the_same_everywhere_and_need_no_openssl(any_python):
    import afield

    source = os.path.dirname(os.path.dirname(os.path.abspath(afield.__file__)))
    done = subprocess.run([any_python, "-I", "-S", "-c", SAID, source], stdout=subprocess.PIPE, check=True, timeout=20)
    assert done.stdout.decode() == hashlib.sha256(b"abc").hexdigest()
