"""The 13 operations, how their answers are read, and which arguments callers may pass."""
