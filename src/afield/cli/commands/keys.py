"""Make the key login to a host work, step by step, and prove it.

  afield keys setup me@gpu1

looks for a key pair (makes an ed25519 one when there is none), repairs the permissions here, installs the public key there
(asking for the password once, through the system's ssh), repairs the permissions there, and logs in with the key alone.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.keysetup import KeySetup
from afield.cli.parse import add_json, add_ssh

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_json(parser)
    parser.add_argument("action", choices=("setup",), help="what to do")
    parser.add_argument("host", help="user@host, ssh://user@host:port, or a Host of ~/.ssh/config")
    parser.add_argument("--key", metavar="FILE", help="this private key (default: the first that ssh would use)")
    add_ssh(parser)
    parser.add_argument("--no-passphrase", action="store_true", help="make a new key without asking for a passphrase")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Run the steps; each says what it found and did."""
    setup = KeySetup(
        args.host, ssh_words=tuple(args.ssh), key=args.key, passphrase=not args.no_passphrase, say=terminal.note
    )
    report = setup.run()
    terminal.result(report, f"login to {args.host} works with {report['key']}; next: afield init {args.host}")
    return 0
