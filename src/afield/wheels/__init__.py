"""Packages for a place without a network: resolved and downloaded here, for the system and the Python there.

Rules: pip and its settings of here are used, so private indexes and credentials stay here; wheels only, because what is built
here would be for here. What must not go in: the way to the place.
"""
