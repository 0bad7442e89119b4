"""Where the tables of a dlt pipeline go: which dataset is whose, and with which primary keys it was made."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Protocol

import attrs

from databox import Databox, Dataset
from databox.integrations.dlt_memory import Aborted, Known, Memory
from databox.integrations.dlt_schema import lasting_keys, primary_keys, shown

__all__ = ["Options", "Places", "Settled"]

Table = Mapping[str, Any]


class Options(Protocol):
    """What the configuration says of it; `databox_destination` has the words."""

    data_source_id: int | None
    datasets: dict[str, str] | None
    assume_keys: bool
    give_up_rows_of: str | None
    aborted_rows: str | None


@attrs.define
class Settled:
    """What is known of the datasets of a package's tables."""

    datasets: dict[str, str | None] = attrs.field(factory=dict)
    """The ids of the tables' datasets; None for those that are to be made."""
    stored: dict[str, Counter[bytes]] = attrs.field(factory=dict)
    """Of tables, how many rows of a digest are stored already and are to be left out."""
    questions: list[str] = attrs.field(factory=list)
    """What somebody has to say first, in the configuration."""
    notes: list[str] = attrs.field(factory=list)
    """What somebody may want to know."""


class Places:
    """The datasets of a pipeline's tables.

    Args:
        client: asks for them, makes and purges them.
        options: the configuration.
        memory: what the pipeline knows of them.
    """

    def __init__(self, client: Databox, options: Options, memory: Memory) -> None:
        self._client = client
        self._options = options
        self._memory = memory

    def settle(self, tables: Sequence[Table], load_id: str, *, emptied: Set[str]) -> Settled:
        """Return where the tables of a package go; datasets that are found are remembered.

        Args:
            tables: those that it has rows of.
            load_id: the package's.
            emptied: the tables whose datasets are emptied before, so that what is there does not matter.
        """
        settled, found = Settled(), self._listed(tables)
        for table in tables:
            name, named = str(table["name"]), self._named(table)
            there = [Dataset(id=named)] if named else found.get(name, [])
            if len(there) > 1:
                ids = ", ".join(dataset.id for dataset in there)
                question: str | None = f"there are {len(there)} datasets of this title: {ids}. {_name_one(name)}"
            elif not there and self._options.data_source_id is None:
                question = (
                    "it has no dataset. Set destination.databox.data_source_id, in which one is made for each table, "
                    f"or name its id under destination.databox.datasets.{name}."
                )
            else:
                settled.datasets[name] = there[0].id if there else None
                question = self._question(table, there[0].id, settled) if there else None
                if there and not question and name not in emptied and not lasting_keys(table):
                    question = self._again(table, there[0].id, load_id, settled)
            if question:
                settled.questions.append(f"Table {shown(name)}: {question}")
        return settled

    def make(self, tables: Iterable[Table]) -> None:
        """Make a dataset for each of some tables; a table whose dataset was made before the answer was lost gets it."""
        for table in tables:
            place, keys = self._place(table), primary_keys(table)
            self._memory.intend(place, keys)
            source = self._options.data_source_id
            assert source is not None
            made = self._client.datasets.ensure(str(table["name"]), data_source=source, primary_keys=keys or None)
            self._memory.remember(Known(made.id, keys, assumed=False), place)

    def purge(self, names: Iterable[str], load_id: str) -> None:
        """Empty the datasets of some tables, where there are any."""
        for name in names:
            table = {"name": name}
            dataset = self._named(table) or self._memory.dataset_at(self._place(table))
            if dataset:
                self._client.datasets.purge(dataset)
            for package in self._memory.aborted(load_id):
                package.forget([name])

    def dataset_of(self, table: Table) -> Dataset:
        """Return the dataset that a table's rows are to be sent to, with its keys.

        Raises:
            ValueError: it is not the one that was looked at before.
        """
        dataset = self._named(table) or self._memory.dataset_at(self._place(table))
        known = self._memory.known(dataset) if dataset else None
        keys = primary_keys(table)
        if known is None or set(known.primary_keys) != set(keys):
            raise ValueError(
                "the configuration names another dataset than it did when this package was looked at. Take that back, "
                "and run the pipeline again; what comes after this package may go elsewhere."
            )
        return Dataset(id=known.id, primary_keys=keys, primary_keys_assumed=known.assumed)

    # Within

    def _named(self, table: Table) -> str | None:
        return (self._options.datasets or {}).get(str(table["name"]))

    def _place(self, table: Table) -> str:
        return f"{self._options.data_source_id}/{table['name']}"

    def _listed(self, tables: Sequence[Table]) -> dict[str, list[Dataset]]:
        """The data source's datasets by their titles, if one of the tables is to be found there."""
        found: dict[str, list[Dataset]] = {}
        if self._options.data_source_id is not None and not all(self._named(table) for table in tables):
            for dataset in self._client.data_sources.list_datasets(self._options.data_source_id):
                found.setdefault(dataset.title or "", []).append(dataset)
        return found

    def _question(self, table: Table, dataset: str, settled: Settled) -> str | None:
        """What somebody has to say before a table may go to a dataset that is there."""
        name, keys = str(table["name"]), primary_keys(table)
        known = self._known(table, dataset)
        if known is None:
            return (
                f"this pipeline did not make dataset {dataset}, and v1 does not tell the primary keys of a dataset. If "
                f"it was made with {', '.join(keys)}, say so: assume_keys=True. If not, rows would be stored twice. "
                f"{_name_one(name)}"
            )
        if set(known.primary_keys) != set(keys):
            how = "loaded as if it had been made" if known.assumed else "made"
            word = f"If it was made {_with(keys)}, say so: assume_keys=True. " if known.assumed else ""
            return (
                f"dataset {dataset} was {how} {_with(known.primary_keys)}, and the table comes {_with(keys)}: rows "
                f"would be stored twice, or replace others. {word}{_name_one(name)}"
            )
        if known.assumed and not keys and self._memory.known(dataset) is None:
            settled.notes.append(
                f"Table {shown(name)}: this pipeline did not make dataset {dataset}, and without keys all rows are "
                "added to those that it has, be they the same or not."
            )
        self._memory.remember(known, None if self._named(table) else self._place(table))
        return None

    def _known(self, table: Table, dataset: str) -> Known | None:
        """What is known of a dataset, or may be assumed."""
        keys, known = primary_keys(table), self._memory.known(dataset)
        intended = self._memory.intended(self._place(table))
        if known is None and intended is not None:  # it was made, and the answer to that was lost
            return Known(dataset, intended, assumed=False)
        by_word = self._options.assume_keys and (known is None or known.assumed)
        if by_word or (known is None and not keys):
            return Known(dataset, keys, assumed=True)
        return known

    def _again(self, table: Table, dataset: str, load_id: str, settled: Settled) -> str | None:
        """Ask what is to be done about rows that an aborted package stored, or note which are left out."""
        name, known_again = str(table["name"]), not primary_keys(table)
        packages = self._memory.aborted(load_id)
        files = [file for package in packages for file in package.aborted(name, dataset)]
        files = [file for file in files if file.stored or file.possible]
        if not files or self._options.aborted_rows == "send":
            return None
        if self._options.aborted_rows == "skip" and known_again:
            stored: Counter[bytes] = Counter()
            for package in packages:
                stored += package.stored(name, possible=self._options.give_up_rows_of == package.load_id)
            settled.stored[name] = stored
            return None
        return _repeated(dataset, files, known_again=known_again)


def _name_one(name: str) -> str:
    return f"Name the dataset that is meant: destination.databox.datasets.{name}, or give the table another name."


def _with(keys: Sequence[str]) -> str:
    return f"with the primary keys {', '.join(keys)}" if keys else "without primary keys"


def _repeated(dataset: str, files: Sequence[Aborted], *, known_again: bool) -> str:
    """Say which rows would be stored twice, and how to decide where they are known again."""
    stored, possible = sum(file.stored for file in files), sum(file.possible for file in files)
    ids = dict.fromkeys(file.load_id for file in files)
    counted = f"{stored:,} rows are in dataset {dataset}"
    if possible:
        counted += f", and {possible:,} more may be,"
    counted += f" from a package that was aborted ({', '.join(ids)}), and dlt extracts them again"
    if not known_again:
        return (
            f"{counted}, with other row ids, by which they cannot be told. Start over by loading it all with "
            'write_disposition="replace", or send everything with aborted_rows="send", which stores them twice.'
        )
    words = (
        f"{counted}. "
        'aborted_rows="skip" leaves out as many rows as are equal to those; aborted_rows="send" sends all, and stores '
        "them twice."
    )
    if possible:
        words += f' The {possible:,} are left out by "skip" where give_up_rows_of="{next(iter(ids))}" says so, too.'
    return words
