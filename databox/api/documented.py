"""The numbers that the API's documentation states, and those that stand in where it is silent."""

__all__ = ["MAX_RECORDS", "PAGE_SIZE", "PER_HOUR", "PER_SECOND", "SAFE_BODY_BYTES"]

MAX_RECORDS = 100
"""Rows in one ingestion at most."""
SAFE_BODY_BYTES = 1_000_000
"""Bytes of one request's whole body. Older pages say 1 MB, newer ones 10 MB."""
PER_SECOND = 10
"""Requests of one key in any second."""
PER_HOUR = 10_000
"""Requests of one key in any hour."""
PAGE_SIZE = 100
"""Items of a page when none was asked for; by one account of the API, not documented."""
