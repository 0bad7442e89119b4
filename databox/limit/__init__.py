"""How many requests may go out, and when; in memory, in a file, in Redis."""
