"""The synchronous client, derived from `_async` but for `runtime` and `deadline`."""
