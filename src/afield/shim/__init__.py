"""The fast path behind `python`: the two clients of the run protocol, how one is built and how it gets into a project."""
