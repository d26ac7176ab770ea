"""Whole files of bytes, without any help."""


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content=b""):
    with open(path, "wb") as file:
        file.write(content)
