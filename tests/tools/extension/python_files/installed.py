"""Prints which requirements of a file are not installed, as JSON; imports a library that the extension brings along."""

import argparse
import importlib.metadata
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib" / "python"))
import bundled

parser = argparse.ArgumentParser()
parser.add_argument("file")
path = pathlib.Path(parser.parse_args().file)
here = {each.metadata["Name"].lower() for each in importlib.metadata.distributions()}
missing = [name for name in bundled.names(path.read_text()) if name.lower() not in here]
print(json.dumps([{"name": name, "severity": os.environ["MISSING_SEVERITY"]} for name in missing]))
