"""Prints who this interpreter is, as JSON."""

import json
import os
import sys

facts = {"version": list(sys.version_info[:3]), "prefix": sys.prefix, "executable": sys.executable}
print(json.dumps({**facts, "is64": sys.maxsize > 2**32, "node": os.uname().nodename}))
