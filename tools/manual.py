"""Writes the reference pages that say what the code says: commands, settings, errors. `--check` only compares.

Run it with `make manual`; a test fails when a page is out of date.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ["COLUMNS"] = "110"  # argparse wraps by the terminal's width: the pages must not depend on it

from afield import errors
from afield.cli.commands.runs import HELP
from afield.cli.parse import build
from afield.cli.render import toml_word
from afield.cli.verbs import GROUPS, TITLES, VERBS
from afield.config.schema import FOLDER_SETTINGS, SETTINGS

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"


def commands() -> str:
    """Give commands.md."""
    lines = ["# Commands", "", "Every command takes `-C FOLDER` before its name to work in another folder.", ""]
    for group in GROUPS:
        lines += [f"## {TITLES[group].capitalize()}", ""]
        for verb in VERBS:
            if verb.group == group:
                parser = build(verb)
                # Verbs that carry another program's words are parsed by hand and have a text of their own.
                text = HELP[verb.name] if verb.module == "runs" else parser.format_help()
                lines += [f"### afield {verb.name}", "", "```text", text.rstrip(), "```", ""]
                for name, action in _actions(parser).items():
                    lines += [
                        f"#### afield {verb.name} {name}",
                        "",
                        "```text",
                        action.format_help().rstrip(),
                        "```",
                        "",
                    ]
    return "\n".join(lines)


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Give the parsers of a verb's own verbs."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(action.choices)
    return found


def settings() -> str:
    """Give settings.md."""
    lines = [
        "# Settings",
        "",
        "`afield.toml` stands in the project's folder. Each setting can stand at the top (for all machines), below",
        "`[machines.NAME]` (for one; its sections are `[machines.NAME.sync]` and so on), or in `~/.config/afield/config.toml`",
        "(for all projects of yours). The nearest wins; `afield config` shows each value and where it comes from.",
        "",
        "```toml",
        'machine = "gpu1"                 # which machine is used when none is named',
        "",
        "[machines.gpu1]",
        'place = "ssh://me@gpu1"',
        'folder = "~/afield/train"',
        "",
        "[sync]",
        'ignore = ["data/raw/"]',
        "",
        "[run]",
        'forward-env = ["WANDB_*"]',
        "```",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    for setting in SETTINGS:
        default = "" if setting.default in (None, (), {}) else f"`{toml_word(setting.default)}`"
        lines.append(f"| `{setting.key}` | {default} | {setting.help} |")
    lines += [
        "",
        "## Further folders",
        "",
        "Below `[folders.NAME]` of a project's `afield.toml`, and for one machine below `[machines.MACHINE.folders.NAME]`; see",
        "[Use several folders and machines](../how-to/folders-and-machines.md).",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    for setting in FOLDER_SETTINGS:
        default = "the project's" if setting.name == "mode" else ""
        lines.append(f"| `{setting.name}` | {default} | {setting.help} |")
    return "\n".join([*lines, ""])


def error_page() -> str:
    """Give errors.md."""
    lines = [
        "# Errors and exit codes",
        "",
        "A message says what was expected and what came; the line `hint:` says what to do. With a program there, the exit code is",
        "the program's own; a program that a signal ended ends the local one by the same signal (a shell shows 128 + its number).",
        "",
        "| code | exit | meaning |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{kind.code}` | {kind.exit} | {(kind.__doc__ or '').splitlines()[0]} |"
        for kind in _walk(errors.AfieldError)
    ]
    return "\n".join([*lines, ""])


def _walk(kind: type[errors.AfieldError]) -> list[type[errors.AfieldError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _walk(child))]


PAGES = {"commands.md": commands, "settings.md": settings, "errors.md": error_page}


def main(words: list[str]) -> int:
    """Write or compare; 1 when a page differs."""
    stale = []
    for name, make in PAGES.items():
        path = REFERENCE / name
        text = make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in words:
            path.write_text(text, encoding="utf-8")
    if "--check" in words and stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}\nhint: make manual\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
