"""A nightly job: sends yesterday's orders from a database to Databox, for cron.

15 2 * * *  DATABOX_API_KEY=… python nightly.py orders.sqlite --state /var/lib/orders

It prints nothing and exits with 0 on success; otherwise it prints the error, which cron mails, and exits with 1. Run
it again after a failure, a kill or a power cut: it resumes where it stopped, starting with missing days.
"""

import argparse
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from databox import Databox, DataboxError, Dataset

DAYS_BACK = 7
"""How many days back failed jobs are caught up on."""


def orders(database: Path, day: date) -> Iterator[dict[str, object]]:
    """Read a day's orders. Their order is fixed, so that a second run finds the same rows in the same positions."""
    with closing(sqlite3.connect(database)) as db:
        query = "select id, day, customer, amount from orders where day = ? order by id"
        for number, at, customer, amount in db.execute(query, (day.isoformat(),)):
            yield {"order": number, "day": at, "customer": customer, "amount": amount}


def send_day(client: Databox, dataset: Dataset, database: Path, day: date, state: Path) -> None:
    """Send a day, unless it was already sent."""
    done = state / f"{day}.done"
    if done.exists():
        return
    journal = state / f"{day}.journal"
    client.datasets.ingest(dataset, orders(database, day), journal=journal, dead_letter=state / f"{day}.dead.jsonl")
    done.touch()
    journal.unlink(missing_ok=True)


def main() -> int:
    """Run the job; return the exit status."""
    parser = argparse.ArgumentParser(description="Send yesterday's orders to Databox.")
    parser.add_argument("database", type=Path)
    parser.add_argument("--state", type=Path, default=Path("state"), help="where journals and dead letters are kept")
    parser.add_argument("--today", type=date.fromisoformat, default=date.today(), help="YYYY-MM-DD")
    arguments = parser.parse_args()
    arguments.state.mkdir(parents=True, exist_ok=True)
    problems = 0
    try:
        with Databox() as client:
            account = client.accounts.list().items[0]
            source = client.data_sources.ensure("Shop", account_id=account.id)
            dataset = client.datasets.ensure("Orders", data_source=source, primary_keys=["order"])
            for back in range(DAYS_BACK, 0, -1):
                day = arguments.today - timedelta(days=back)
                try:
                    send_day(client, dataset, arguments.database, day, arguments.state)
                except DataboxError as error:  # a failed day does not affect the next
                    problems += 1
                    print(f"{day}: {error}", file=sys.stderr)
    except DataboxError as error:
        problems += 1
        print(error, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
