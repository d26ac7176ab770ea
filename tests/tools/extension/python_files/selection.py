"""Reads a selection of code as JSON from stdin, prints the whole statements of it as JSON."""

import ast
import json
import sys
import textwrap

asked = json.loads(sys.stdin.buffer.read().decode("utf-8"))
code = textwrap.dedent(asked["code"])
parts = [ast.get_source_segment(code, node) for node in ast.parse(code).body]
sys.stdout.write(json.dumps({"normalized": "\n".join(parts) + "\n"}))
sys.stdout.close()
