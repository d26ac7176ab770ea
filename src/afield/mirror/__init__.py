"""The mirror: a read-only local copy of the sources that an environment has at its place.

Pure: ``paths`` (which far path is which local one), ``layout`` (where a root goes), ``listing`` (what the place told, checked), ``pth``.
I/O, all of it in a worker process of its own (``worker``): ``far`` (the conversation), ``store`` (contents, once each), ``tree``
(folders of links to them), ``copies`` (one sync from end to end), ``files`` (the files of a project's mirror). Nothing here knows the daemon.
"""
