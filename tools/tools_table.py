"""Writes docs/reference/tools.md from the outcome of a run of tests/tools over all ways: `make tools-table`.

A cell says what the run saw, and nothing else: works, fails, or that this way cannot do it.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

WAYS = ("twin", "same", "translated")
WORDS = {"works": "works", "lost": "no", "failed": "**fails**", "skipped": "not run", "": "not run"}
GROUPS = {
    "test_daily": "Every day",
    "test_types": "Type checkers",
    "test_jedi": "Completion and language servers",
    "test_envs": "Makers of environments",
    "test_kernels": "Jupyter",
    "test_debugpy": "Debuggers",
    "test_vscode": "VS Code",
    "test_editors": "Editors",
}
HEAD = """# Tools on the project's interpreter

Each row is a test with the real tool, unmodified, run here against `.afield/bin/python`; the interpreter is on a host with its own root
file system, network and processes. The columns are the ways in which the project's paths can be there (see [how it
works](../explanation/how-it-works.md)): in a **twin** and with the **same path** nothing is translated; **translated** is what is
left where a place allows neither. `afield doctor` says which way is in use. This page is written by `make tools-table` from a run.

`works`: the test passed. `no`: this way cannot do it. `**fails**`: it should, and does not yet.

Type checkers, goto, and `uv pip list` read the files of packages themselves, at the paths that the interpreter tells, so they need the
[mirror](../how-to/mirror.md), and their tests make it first. Without one `uv pip list` asks the interpreter where packages are, finds no
such folder here, and lists nothing; `afield python -m pip list` lists what is there.
"""


def main() -> int:
    """Read the outcomes named on the command line and write the page."""
    outcomes: dict[str, str] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    rows: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for node, outcome in outcomes.items():
        found = re.search(r"(test_\w+)\.py::test_(\w+)\[(.*)\]$", node)
        if found is None or found.group(1) not in GROUPS:
            continue
        way = next((each for each in WAYS if each in found.group(3).split("-")), "")
        rest = [each for each in found.group(3).split("-") if each != way]
        name = found.group(2).replace("_", " ") + (f" ({', '.join(rest)})" if rest else "")
        rows[GROUPS[found.group(1)]][name][way] = outcome
    lines = [HEAD]
    for group in GROUPS.values():
        if group in rows:
            lines += [f"## {group}\n", "| test | twin | same path | translated |", "|---|---|---|---|"]
            lines += [
                f"| {name} | " + " | ".join(WORDS.get(ways.get(way, ""), "**fails**") for way in WAYS) + " |"
                for name, ways in rows[group].items()
            ]
            lines.append("")
    page = Path(__file__).parent.parent / "docs" / "reference" / "tools.md"
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
