"""SHA-256 for names, without ``hashlib``: loading OpenSSL takes 4 ms of a first run, and 4 MB for as long as an agent lives  [P].

Contents are hashed by the files worker, where OpenSSL's speed counts.
"""


def sha256(data: "bytes") -> "bytes":
    """Give the digest of something short."""
    try:
        from _sha256 import sha256 as make  # type: ignore[import-not-found]  # Python 3.6 to 3.11
    except ImportError:
        try:
            from _sha2 import sha256 as make  # type: ignore[import-not-found]  # 3.12 and newer
        except ImportError:
            from hashlib import sha256 as make
    return bytes(make(data).digest())
