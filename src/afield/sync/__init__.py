"""Sync of one project with one machine: endpoints, cycle, base store, session.  Rules: nothing is remembered that both sides did not confirm."""
