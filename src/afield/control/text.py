"""What a terminal may see of text that others wrote: names, messages of a place. Pure, and imports nothing: every command loads it."""


def printable(text: str) -> str:
    """Give text without control characters (a hostile name must not drive the terminal); line breaks and tabs stay."""
    if text.isprintable():
        return text
    return "".join(char if char in "\n\t" or char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    # A byte of a name that is not UTF-8 (PEP 383), else a character.
    byte = ord(char) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else char.encode("unicode_escape").decode("ascii")
