"""Checks recordings, the sandbox and the facade against the published description."""
