"""SSH_ASKPASS for tests: answers password prompts and one-time codes (RFC 6238) as a person would; ASKPASS_LOG gets the prompts.

Standard library only: ssh starts it.
"""

import hashlib
import hmac
import os
import struct
import sys
import time


def code(secret, now):
    """The six digits of a time step of 30 s (RFC 6238, RFC 4226 section 5.3)."""
    digest = hmac.new(secret, struct.pack(">Q", int(now) // 30), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1000000:06}"


if __name__ == "__main__":
    prompt = sys.argv[1]
    if "ASKPASS_LOG" in os.environ:
        with open(os.environ["ASKPASS_LOG"], "a", encoding="utf-8") as file:
            file.write(prompt + "\n")
    print(code(b"12345678901234567890", time.time()) if "one-time" in prompt.lower() else "hunter2")
