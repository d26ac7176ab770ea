"""The process at the place: processes, terminals, files, ports and facts behind one link  [P].

Python 3.6 syntax, standard library only. The boot path imports builtins, ``_socket``, ``select`` and ``struct``:
an import costs more than most of what this package does. Nothing local imports it; it travels as source.
"""
