"""The numbers from the API's documentation, and defaults where it is silent."""

__all__ = ["MAX_RECORDS", "PAGE_SIZE", "PER_HOUR", "PER_SECOND", "SAFE_BODY_BYTES"]

MAX_RECORDS = 100
"""The maximum number of rows per ingestion."""
SAFE_BODY_BYTES = 1_000_000
"""The maximum size of a request body, in bytes. Older pages say 1 MB, newer ones 10 MB."""
PER_SECOND = 10
"""Requests per key in any second."""
PER_HOUR = 10_000
"""Requests per key in any hour."""
PAGE_SIZE = 100
"""The default page size; observed by one user of the API, not documented."""
