"""The one process per user that keeps links, syncs and runs, and answers the faces over a unix socket.

Rules: one asyncio loop, no threads that decide; every buffer is bounded; whatever a face sends is checked before use;
what is kept is remembered so that a killed daemon's successor takes it up. What must not go in: text for people.
"""
