"""What the task tells Airflow of the data it moved: asset events and lineage."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage


def emit_asset_events(context: Mapping[str, Any], *, location: str, extra: Mapping[str, Any]) -> None:
    """Describe the events of the task's outlets, which Airflow emits when the task succeeds.

    An outlet that is an asset gets `extra`, with the location; an asset alias gets an event of the asset `location`.

    :param location: where the data is: a path, a URI, a table.
    :param extra: JSON: counts, the window. No addresses, no rows: it is shown to people.
    """
    task = context.get("task")
    events = context.get("outlet_events")
    outlets = getattr(task, "outlets", None)
    if events is None or not outlets:
        return
    from airflow.sdk import Asset, AssetAlias

    described = {**extra, "location": location}
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            events[outlet].add(Asset(as_uri(location)), extra=described)
        else:
            events[outlet].extra = {**events[outlet].extra, **described}


def collect_hook_lineage(source: Any, *, inputs: Iterable[str] = (), outputs: Iterable[str] = ()) -> None:
    """Report assets, by URI, to Airflow's hook lineage.

    :param source: the hook, or operator, that read or wrote them.
    """
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    collector = get_hook_lineage_collector()
    for uri in inputs:
        collector.add_input_asset(source, uri=as_uri(uri))
    for uri in outputs:
        collector.add_output_asset(source, uri=as_uri(uri))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset as OpenLineage names it.

    :param rows: how many rows were written to it, where that is known.
    :param columns: name, type and meaning of each.
    """

    namespace: str
    name: str
    rows: int | None = None
    columns: Sequence[tuple[str, str, str]] = ()

    @classmethod
    def at(cls, uri: str, **more: Any) -> Dataset:
        """Return the dataset of a path or a URI; its query and credentials are left out."""
        parts = urlsplit(as_uri(uri))
        if parts.scheme == "file":
            return cls(namespace="file", name=parts.path or "/", **more)
        authority = parts.netloc.rpartition("@")[2]
        return cls(namespace=f"{parts.scheme}://{authority}", name=parts.path.strip("/") or "/", **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What a task read and wrote."""

    inputs: Sequence[Dataset] = ()
    outputs: Sequence[Dataset] = field(default=())

    def as_openlineage(self) -> OperatorLineage[Any, Any] | None:
        """Return it in the words of the OpenLineage provider, None where that is not installed."""
        try:
            from airflow.providers.openlineage.extractors import OperatorLineage
        except ImportError:
            return None
        from airflow.providers.common.compat.openlineage.facet import InputDataset, OutputDataset

        return OperatorLineage[Any, Any](
            inputs=[InputDataset(namespace=at.namespace, name=at.name, facets=_facets(at)) for at in self.inputs],
            outputs=[
                OutputDataset(namespace=at.namespace, name=at.name, facets=_facets(at), outputFacets=_output_facets(at))
                for at in self.outputs
            ],
        )


def as_uri(location: str) -> str:
    """Return a URI; a path becomes one of the scheme ``file``."""
    text = str(location)
    return text if "://" in text else f"file://{os.path.abspath(text)}"


def _facets(dataset: Dataset) -> dict[str, Any]:
    if not dataset.columns:
        return {}
    from airflow.providers.common.compat.openlineage.facet import SchemaDatasetFacet, SchemaDatasetFacetFields

    return {
        "schema": SchemaDatasetFacet(
            fields=[
                SchemaDatasetFacetFields(name=name, type=kind, description=meaning)
                for name, kind, meaning in dataset.columns
            ]
        )
    }


def _output_facets(dataset: Dataset) -> dict[str, Any]:
    if dataset.rows is None:
        return {}
    from airflow.providers.common.compat.openlineage.facet import OutputStatisticsOutputDatasetFacet

    return {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=dataset.rows)}
