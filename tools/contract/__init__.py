"""Holding recordings, sandbox and facade against the published description."""
