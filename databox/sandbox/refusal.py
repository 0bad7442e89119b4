"""How the API refuses a request."""

__all__ = ["STATUS_CODES", "Refusal", "code_for"]

STATUS_CODES = {
    400: "invalid_input",
    401: "invalid_api_key",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "duplicate_record",
    413: "request_too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    500: "internal_error",
    503: "service_unavailable",
}
"""The API's error code for a status; the reference gives the codes, the statuses are inferred."""


def code_for(status: int) -> str:
    """Return the error code for a status."""
    if status < 300:
        return "processing_failed"
    return STATUS_CODES.get(status, "internal_error" if status >= 500 else "invalid_input")


class Refusal(Exception):
    """A refused request; it is answered with the error envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        field: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code or code_for(status)
        self.field = field
        self.headers = headers or {}

    def entry(self) -> dict[str, str]:
        """Return the entry for `errors`."""
        entry = {"code": self.code, "message": str(self)}
        if self.field:
            entry |= {"field": self.field}
        if self.status in (400, 403):
            entry |= {"type": "validation" if self.status == 400 else "permission"}
        return entry
