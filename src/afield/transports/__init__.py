"""How to reach a place: one file per scheme, each on one screen. Found through ``afield.plugins``, never imported by name."""
