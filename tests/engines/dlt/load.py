"""Load 1,000 rows; run by tests as a process of its own, which they kill.

python load.py PIPELINES_DIR keyed|unkeyed     the rest is in the environment
"""

import sys

import dlt

from databox.integrations.dlt import databox_destination


def main(directory: str, kind: str) -> None:
    pipeline = dlt.pipeline("killed", destination=databox_destination(), pipelines_dir=directory)
    rows = ({"id": n, "amount": n * 1.5} for n in range(1000))
    keyed = kind == "keyed"
    resource = dlt.resource(rows, name="orders", write_disposition="merge" if keyed else "append")
    pipeline.run(resource.apply_hints(primary_key="id") if keyed else resource)


if __name__ == "__main__":
    main(*sys.argv[1:])
