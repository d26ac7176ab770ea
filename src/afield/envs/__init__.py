"""Which Pythons a place has, read from files  [P].

Rules: nothing is started (a hundred environments would take seconds), nothing is written but by ``removal``; what cannot be read
is left out or named as broken, never an error. What must not go in: making and filling environments, that is the local side's work.
"""
