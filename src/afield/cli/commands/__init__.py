"""One file per verb. Each has ``configure(parser)`` and ``run(args, terminal) -> exit status``; the table of them is in ``verbs.py``."""
