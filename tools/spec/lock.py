"""`spec.lock`: the identity and origin of the description, and the generator that was used."""

import hashlib
from datetime import UTC, datetime
from importlib.metadata import version

import attrs
import yaml

from tools.spec.document import SpecError, parse

__all__ = ["Lock", "generator"]


def generator() -> str:
    """Return the generator's name and version."""
    return f"openapi-python-client {version('openapi-python-client')}"


@attrs.frozen
class Lock:
    """The facts about the description in `openapi/`."""

    address: str
    sha256: str
    date: str
    provenance: str
    operations: int
    generator: str

    @classmethod
    def of(cls, content: bytes, *, address: str, provenance: str, operations: int) -> "Lock":
        """Return the lock of the current description."""
        return cls(
            address=address,
            sha256=hashlib.sha256(content).hexdigest(),
            date=datetime.now(UTC).date().isoformat(),
            provenance=provenance,
            operations=operations,
            generator=generator(),
        )

    @classmethod
    def read(cls, content: bytes) -> "Lock":
        """Return the content of a lock file. Raises SpecError if it is not one."""
        values = parse(content, "spec.lock")
        names = [field.name for field in attrs.fields(cls)]
        if set(values) != set(names):
            raise SpecError(f"spec.lock must hold exactly {', '.join(names)}. Run `make pull`.")
        return cls(**values)

    def write(self) -> bytes:
        """Return the file's content."""
        return yaml.safe_dump(attrs.asdict(self), sort_keys=False, width=1000).encode()
