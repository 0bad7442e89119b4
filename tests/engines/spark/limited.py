"""A sandbox that enforces the limit, as a process of its own, as the API is.

It prints its address and key, and, once its standard input is closed, the status of each request.
"""

import sys

from databox.sandbox import Sandbox

if __name__ == "__main__":
    with Sandbox(rate_limit=10) as box:
        sys.stdout.write(f"{box.url} {box.api_key}\n")
        sys.stdout.flush()
        sys.stdin.read()
        sys.stdout.write(" ".join(str(request.status) for request in box.requests))
