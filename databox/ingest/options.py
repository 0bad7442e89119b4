"""The named options of an ingest."""

from typing import Literal

__all__ = ["OnAmbiguous", "OnRefusal", "Verify"]

Verify = Literal["counts", "status"]
"""How `ingest` verifies accepted rows: fetch each ingestion's counts, or read the list of statuses."""
OnAmbiguous = Literal["auto", "resend", "report"]
"""What `ingest` does with a batch whose answer was lost; auto: resend if there are primary keys."""
OnRefusal = Literal["isolate", "report"]
"""What `ingest` does with a batch that is refused because of its content: isolate rows, or report the batch."""
