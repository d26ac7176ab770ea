"""A library that the extension brings along and that no interpreter has."""


def names(text):
    return [line.split("==")[0].strip() for line in text.splitlines() if line and not line.startswith("#")]
