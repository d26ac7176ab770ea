"""What stands in one folder as a digest, so that a scan need not tell what its asker knows already  [P].

The asker sends the digests of the folders as it knows them, the scan answers which are the same and tells of the others
only. Rules: equal digests mean equal names, kinds, executable bits, and stats of files and links; a folder in the folder
counts by its name. Sixteen bytes of BLAKE2b (RFC 7693): chance does not find two listings with the same.
"""

import hashlib
import sys
import zlib
from array import array

from afield.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Sequence, Tuple

DIGEST = 16
# Names and digests of two million folders; nobody can make us expand more.
LARGEST = 128 << 20


def digest_of(names: "Sequence[bytes]", stats: "bytes") -> "bytes":
    """Give the digest of a folder.

    ``names``: sorted by name, each with its kind in front (d, o, f, x, l); ``stats``: of all but folders, in that order, four
    64-bit little-endian numbers each.
    """
    data = b"\0".join(names)
    return hashlib.blake2b(b"%d\0" % len(data) + data + stats, digest_size=DIGEST).digest()


def pack_numbers(numbers: "List[int]") -> "bytes":
    """Give the numbers of stats as bytes; b"" when one has more than 63 bits and a sign: then nothing is the same."""
    try:
        column = array("q", numbers)
    except OverflowError:
        return b""
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def encode_known(folders: "Sequence[Tuple[bytes, bytes]]") -> "bytes":
    """Give [(path, digest)] as bytes."""
    names = b"\0".join([path for path, _ in folders])
    return zlib.compress(names, 1) + b"".join([digest for _, digest in folders])


def decode_known(data: "bytes") -> "Dict[bytes, bytes]":
    """Undo ``encode_known``. Raises ProtocolError."""
    machine = zlib.decompressobj()
    try:
        plain = machine.decompress(data, LARGEST)
    except zlib.error as error:
        raise ProtocolError("expected deflated names of folders: %s" % error) from None
    digests, names = machine.unused_data, plain.split(b"\0")
    if not machine.eof or (digests and len(digests) != DIGEST * len(names)):
        raise ProtocolError("expected a digest for each of %d folders, got %d bytes" % (len(names), len(digests)))
    if not digests:
        return {}
    return {name: digests[at * DIGEST : at * DIGEST + DIGEST] for at, name in enumerate(names)}


def encode_same(known: "Dict[bytes, bytes]", same: "Dict[bytes, bytes]") -> "bytes":
    """Give for each of the known folders, in their order, whether it is among the ``same``."""
    return zlib.compress(bytes(bytearray([path in same for path in known])), 1)


def decode_same(data: "bytes", folders: "Sequence[bytes]") -> "List[bool]":
    """Undo ``encode_same``. Raises ProtocolError."""
    machine = zlib.decompressobj()
    try:
        flags = machine.decompress(data, len(folders) + 1)
    except zlib.error as error:
        raise ProtocolError("expected deflated flags: %s" % error) from None
    if len(flags) != len(folders) or not machine.eof:
        raise ProtocolError("expected a flag for each of %d folders, got %d" % (len(folders), len(flags)))
    return [flag == 1 for flag in bytearray(flags)]
