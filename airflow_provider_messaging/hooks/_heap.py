"""The garbage collector and a task's process, which holds all of Airflow."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heap_set_aside() -> Iterator[None]:
    """Let the collector look at new objects only.

    It walks through all it knows again and again while many rows come and go: Airflow's own two hundred thousand
    objects took a fifth of the time of a send. What nobody refers to any more is freed as ever.
    """
    others = gc.get_freeze_count()
    gc.freeze()
    try:
        yield
    finally:
        # Unfreezing takes no argument: what others have set aside, before a fork for instance, stays so.
        if not others:
            gc.unfreeze()
