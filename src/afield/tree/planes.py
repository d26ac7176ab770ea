"""Columns of 64-bit numbers as byte planes: all lowest bytes, then all second lowest, and so on  [P].

Sizes, inodes and times of neighbouring files share their upper bytes and differ in their lower ones. As planes the upper
bytes shrink to nothing and the lower ones can be left out of the compressor, which would only lose time on them.
Rules: eight planes a column, little-endian, no lengths (the caller knows the count). No compression in here.
"""

import sys
from array import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, List, Sequence

SIGNED, UNSIGNED = "q", "Q"
WIDTH = 8
SAMPLE = 2048  # bytes looked at to tell noise: 128 values or more among so many do not deflate in any time worth having
NOISE = 128


def split(numbers: "Iterable[int]", form: "str") -> "List[bytes]":
    """Give the eight planes of a column; raises OverflowError for a number that 64 bits do not hold."""
    column = array(form, numbers)
    if sys.byteorder == "big":
        column.byteswap()
    data = column.tobytes()
    return [data[place::WIDTH] for place in range(WIDTH)]


def join(planes: "Sequence[bytes]", form: "str") -> "array[int]":
    """Give the column whose planes these are, all of one length."""
    data = bytearray(WIDTH * len(planes[0]))
    for place, plane in enumerate(planes):
        data[place::WIDTH] = plane
    column = array(form)
    column.frombytes(bytes(data))
    if sys.byteorder == "big":
        column.byteswap()
    return column


def is_noise(plane: "bytes") -> "bool":
    """Tell whether compressing the plane would be a waste of time."""
    return len(set(plane[:SAMPLE])) >= NOISE
