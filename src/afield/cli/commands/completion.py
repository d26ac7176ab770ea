"""Print the completion script of a shell.

bash:  eval "$(afield completion bash)"         in ~/.bashrc
zsh:   eval "$(afield completion zsh)"          in ~/.zshrc, after compinit
fish:  afield completion fish | source          in ~/.config/fish/config.fish
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.completing import script

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Print it."""
    terminal.out(script(args.shell).strip("\n"))
    return 0
