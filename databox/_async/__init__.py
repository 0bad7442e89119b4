"""The asynchronous client, and the source that `tools/unasync.py` derives the synchronous one from."""
