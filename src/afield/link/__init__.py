"""The asyncio side of a link: dial, resume, streams, forwards. Empty on purpose: a daemon dials before it imports asyncio."""
