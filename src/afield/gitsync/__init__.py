"""Carries a repository between here and there with git itself: objects and refs over the link, never files."""
