"""The Node client against the sandbox, with faults, end to end."""

import json
import subprocess
from typing import Any

import pytest

from databox import Databox, Dataset
from databox.sandbox import Fault, Sandbox
from tests.conformance.test_cases import FOLDER, NEEDS_NODE

SENDS = """
import { Client } from %s;
import { ingest } from %s;
const client = new Client(process.env.DATABOX_API_KEY, process.env.DATABOX_API_URL);
const rows = Array.from({ length: 250 }, (_, n) => ({ id: n, total: n * 1.5 }));
const { report } = await ingest(client, process.argv[1], rows, JSON.parse(process.argv[2]));
console.log(JSON.stringify(report));
"""


def ingest(box: Sandbox, dataset: Dataset, options: dict[str, Any]) -> dict[str, Any]:
    program = SENDS % tuple(
        json.dumps((FOLDER / "clients" / "node" / name).as_uri()) for name in ("client.mjs", "ingest.mjs")
    )
    command = ["node", "--input-type=module", "-e", program, dataset.id, json.dumps(options)]
    environ = {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url, "PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert box.api_key not in done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.node
@NEEDS_NODE
@pytest.mark.parametrize("keyed", [True, False])
def test_a_client_made_from_the_guide_loses_and_doubles_nothing(box: Sandbox, keyed: bool) -> None:
    keys = ["id"] if keyed else []
    with Databox(box.api_key, box.url) as client:
        source = client.data_sources.create("Node")
        dataset = client.datasets.create("Rows", data_source=source, primary_keys=keys)
    box.inject(Fault("create_ingestion", status=503, headers={"retry-after": "0"}, times=2))
    box.inject(Fault("create_ingestion", drop="after", times=1))
    box.inject(Fault("get_ingestion", status=500, times=1))
    report = ingest(box, dataset, {"primaryKeys": keys})
    stored = sorted(row["id"] for row in box.rows(dataset))
    assert stored == list(range(250))
    if keyed:
        assert (report["ok"], report["appended"] + report["overwritten"]) == (True, 250)
    else:
        assert (report["ok"], report["ambiguous"], report["appended"]) == (False, 100, 150)
