"""What the tests know about the API: the public reference, transcribed.

`openapi/databox-v1.yaml` is what was pulled last, in whatever form it was published. Tests of the tools that deal with
descriptions do things to this one instead, so that none of them depends on what was pulled.
"""

from pathlib import Path
from typing import Any

from tools.spec.document import load

__all__ = ["REFERENCE", "REFERENCE_FILE"]

REFERENCE_FILE = Path(__file__).with_name("reference.yaml")
REFERENCE: dict[str, Any] = load(REFERENCE_FILE)
"""The document. Copy it before you change it."""
