"""How the agent gets to a place: the bundle of portable sources, the starter that runs there, and its first answer.

Reads the agent's files as bytes and never imports them. No transports, no connections in here.
"""
