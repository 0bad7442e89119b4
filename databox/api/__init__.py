"""What is said: the 13 operations, how answers are read, what callers may pass."""
