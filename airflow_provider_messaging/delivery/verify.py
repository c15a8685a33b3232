"""Whether the input is still the one that an earlier try began to send."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from airflow_provider_messaging.core.errors import ChangedInputError
from airflow_provider_messaging.delivery.ledger import Ledger
from airflow_provider_messaging.delivery.plan import Batch

_STOPPED_HERE = "this try stopped there"


@dataclass(slots=True)
class InputCheck:
    """Compares the input with the digests that earlier tries recorded, before anything is sent and while it is."""

    ledger: Ledger
    _digests: list[bytes] = field(default_factory=list, init=False)
    _reread: int = field(default=0, init=False)

    def read(self, batches: Iterable[Batch]) -> None:
        """Read the recorded part of the input.

        :raises ChangedInputError: if it differs, with the rows.
        """
        marks = iter(self.ledger.marks)
        recorded = self.ledger.recorded
        mark, first_row, count = next(marks), 0, 0
        for batch in batches:
            if count >= recorded.batches:
                count += 1
                break
            count = batch.number + 1
            self._digests.append(batch.digest)
            if count == mark.batches:
                if batch.digest != mark.digest:
                    raise self.changed(f"rows {first_row} to {batch.messages[-1].row} differ")
                first_row, mark = batch.messages[-1].row + 1, next(marks, mark)
        if count < recorded.batches:
            raise self.changed("it is shorter")
        if count > recorded.batches and self.ledger.complete:
            raise self.changed(f"there are new rows from {first_row} on")

    def reread(self, batches: Iterable[Batch]) -> None:
        """Check batches as they are read for sending: a file may have changed since `read`.

        :raises ChangedInputError: if one did.
        """
        for batch in batches:
            self._reread = batch.number + 1
            if batch.number < len(self._digests) and batch.digest != self._digests[batch.number]:
                what = f"rows up to {batch.messages[-1].row} changed while they were read"
                raise self.changed(what, now=_STOPPED_HERE)

    def end(self) -> None:
        """Check, at the end of the input, that all that was recorded came.

        :raises ChangedInputError: if the input became shorter.
        """
        if self._reread < len(self._digests):
            raise self.changed("it became shorter while it was read", now=_STOPPED_HERE)

    def changed(self, what: str, *, now: str = "nothing was sent now") -> ChangedInputError:
        return ChangedInputError(
            f"the input is not the one that an earlier try of this task began to send: {what}. "
            f"{self.ledger.accepted} messages were accepted by then, and {now}. The task is not retried. Send the "
            "rest of the old input by a new run (airflow-messaging remaining finds it), or clear the task to send "
            "all of the new input, with new references, to those who got it as well",
            setting="the rows, or the templates, defaults and attachments that complete them",
        )
