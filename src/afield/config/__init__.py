"""Settings: what can be set (a table), where each value comes from, and the file that `afield init` writes.

Rules: one table (``schema.py``) is the truth for loading, explaining and the reference page. No daemon, no link here.
"""
