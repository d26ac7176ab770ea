"""afield: your Python, far afield [P].

Holds the version and nothing else: this file travels with the agent and is read by the build.
"""

__version__ = "0.1.0"
