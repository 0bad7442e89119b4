"""How many requests may be sent, and when; in memory, in a file, in Redis."""
