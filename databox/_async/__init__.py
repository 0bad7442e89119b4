"""The asynchronous client, from which `tools/unasync.py` derives the synchronous one."""
