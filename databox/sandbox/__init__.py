"""The Databox API v1 on a loopback port: a real HTTP server for experiments and tests.

It follows the public reference and is independent of the client, so that tests in any language can use it.
"""

try:
    from databox.sandbox.server import Sandbox
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in {"starlette", "uvicorn"}:
        raise
    raise ImportError('The sandbox needs its extra: pip install "databox-sdk[sandbox]"') from error
from databox.sandbox.faults import Fault
from databox.sandbox.recording import RecordedRequest

__all__ = ["Fault", "RecordedRequest", "Sandbox"]
