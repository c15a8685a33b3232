"""From a row as it was given to a whole one: defaults under it, texts from templates, attachments from files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.core.attachments import Attachments, Unreadable, file_name_of, type_of
from airflow_provider_messaging.core.errors import ConfigurationError, FieldError, StorageError
from airflow_provider_messaging.core.messages import Message, Reject
from airflow_provider_messaging.vendors.marigold.email import SHORT_FIELDS, SHORT_FORM
from airflow_provider_messaging.vendors.marigold.shortform import IGNORED

if TYPE_CHECKING:
    from airflow_provider_messaging.core.templates import Templates

VARS = "vars"
"""Where a row has variables that are nothing but variables."""
TEMPLATED = ("subject", "html", "text")
PART_BYTES = 2_000_000
"""Rows are judged together until their texts and attachments have about this much."""
_NOT_DEFAULT = frozenset({"to", "reference"})

Row = dict[str, Any]
Judge = Callable[[Sequence[tuple[int, object]]], list[Message | Reject]]


@dataclass(slots=True)
class _Composed:
    """A row on its way. What could not be made is held by `errors`, and something harmless stands in its place."""

    number: int
    value: Any
    errors: list[FieldError] = field(default_factory=list)
    size: int = 0

    def refuse(self, where: str, code: str, message: str) -> None:
        self.errors.append(FieldError(field=where, code=code, message=message))


class Composer:
    """Completes rows of one send, the same way at every try.

    :param defaults: fields in the short form for every row that has none of its own, variables among them.
    :param templates: of the fields ``subject``, ``html`` and ``text``, for every row that has none of its own.
    :param attachments: files of attachments that have a ``path``.
    :param most_bytes: what the attachments of one message may have in Base64.
    :raises ConfigurationError: if a default is none.
    """

    def __init__(
        self,
        *,
        attachments: Attachments,
        most_bytes: int,
        defaults: Mapping[str, Any] | None = None,
        templates: Templates | None = None,
    ) -> None:
        self._attachments = attachments
        self._most_bytes = most_bytes
        self._templates = templates
        self._used = templates.variables if templates is not None else frozenset[str]()
        self._defaults, self._variables = self._split(defaults or {})
        self._nested = SHORT_FORM.expand(self._defaults) if self._defaults else {}

    def prepare(
        self, rows: Sequence[tuple[int, object]], judge: Judge, *, reference_of: Callable[[int], str]
    ) -> Iterator[Message | Reject]:
        """Complete and judge rows, in their order, a few at a time where they are large."""
        if self._templates is None and not self._defaults and not any(_names_files(given) for _, given in rows):
            yield from judge(rows)
            return
        part: list[_Composed] = []
        size = 0
        for composed in self._composed(rows, reference_of):
            part.append(composed)
            size += composed.size
            if size >= PART_BYTES:
                yield from _judged(part, judge)
                part, size = [], 0
        yield from _judged(part, judge)

    def _composed(self, rows: Sequence[tuple[int, object]], reference_of: Callable[[int], str]) -> Iterator[_Composed]:
        paths = [self._paths(given) for _, given in rows]
        files = [path for each in paths for path in each]
        begun = 0
        for (number, given), needed in zip(rows, paths, strict=True):
            if needed:
                self._attachments.expect(files[begun : begun + len(needed) + 16])
                begun += len(needed)
            composed = _Composed(number, given)
            if isinstance(given, dict):
                if self._templates is not None or self._defaults:
                    self._complete(composed, given, reference_of)
                self._attach(composed)
            yield composed

    # Defaults and templates -------------------------------------------------------------------------------------

    def _split(self, defaults: Any) -> tuple[Row, Row]:
        """Return the fields and the variables among the defaults."""
        if not isinstance(defaults, Mapping) or not all(isinstance(name, str) for name in defaults):
            raise ConfigurationError("defaults must be an object", setting="defaults")
        composed = _Composed(-1, None)
        fields, variables = self._sort(composed, defaults)
        for name in fields:
            if name in _NOT_DEFAULT:
                composed.refuse(name, "", "can not be the same for every row")
            elif self._templates is not None and name in self._templates.names:
                composed.refuse(name, "", "has a template, and so no default")
            elif name not in SHORT_FIELDS:
                composed.refuse(name, "", "is no field of a message")
        if composed.errors:
            wrong = "; ".join(f"{error.field} {error.message}" for error in composed.errors)
            raise ConfigurationError(f"defaults: {wrong}", setting="defaults")
        return fields, variables

    def _sort(self, composed: _Composed, given: Mapping[str, Any]) -> tuple[Row, Row]:
        """Tell a flat row's fields from its variables. Null means absent."""
        fields: Row = {}
        variables: Row = {}
        for name, value in given.items():
            if name in SHORT_FIELDS:
                if value is not None:
                    fields[name] = value
            elif self._templates is None:
                fields[name] = value
            elif name in self._used:
                variables[name] = value
            elif name not in (VARS, IGNORED):
                composed.refuse(str(name), "UNKNOWN_PROPERTY", _unknown(name, SHORT_FIELDS | self._used))
        if self._templates is not None:
            self._add_vars(composed, given.get(VARS), variables)
        return fields, {name: value for name, value in variables.items() if value is not None}

    def _add_vars(self, composed: _Composed, given: object, variables: Row) -> None:
        if isinstance(given, dict) and all(isinstance(name, str) for name in given):
            variables.update(given)
        elif given is not None:
            composed.refuse(VARS, "INVALID_TYPE", "must be an object")

    def _complete(self, composed: _Composed, given: Row, reference_of: Callable[[int], str]) -> None:
        if SHORT_FORM.is_vendor_form(given):
            self._complete_nested(composed, given, reference_of)
            return
        fields, variables = self._sort(composed, given)
        fields = {**self._defaults, **fields}
        if self._templates is not None:
            texts = self._render(composed, fields, {**fields, **self._variables, **variables}, reference_of)
            fields |= texts
        composed.value = fields

    def _complete_nested(self, composed: _Composed, given: Row, reference_of: Callable[[int], str]) -> None:
        """Complete a row in the vendor's form, whose variables stand under ``vars``."""
        row = {name: value for name, value in given.items() if value is not None or name not in self._nested}
        for name, default in self._nested.items():
            if name not in row:
                row[name] = default
            elif isinstance(row[name], dict) and isinstance(default, dict):
                own = {key: value for key, value in row[name].items() if value is not None or key not in default}
                row[name] = {**default, **own}
        if self._templates is not None:
            variables: Row = {}
            self._add_vars(composed, row.pop(VARS, None), variables)
            variables = {name: value for name, value in variables.items() if value is not None}
            parts = {name: row.get(name) for name in ("headers", "content")}
            if all(part is None or isinstance(part, dict) for part in parts.values()):
                present = {**(parts["headers"] or {}), **(parts["content"] or {})}
                everything = {"reference": row.get("reference"), **self._variables, **variables}
                for name, text in self._render(composed, present, everything, reference_of).items():
                    place = SHORT_FORM.places[name]
                    row[place] = {**(row.get(place) or {}), name: text}
        composed.value = row

    def _render(
        self, composed: _Composed, present: Row, variables: Row, reference_of: Callable[[int], str]
    ) -> dict[str, str]:
        """Return the text of every template whose field the row does not have."""
        from airflow_provider_messaging.core.templates import Unrenderable

        assert self._templates is not None
        if "reference" in self._used and variables.get("reference") is None:
            variables["reference"] = reference_of(composed.number)
        texts: dict[str, str] = {}
        for name in self._templates.names:
            if present.get(name) is not None:
                continue
            try:
                texts[name] = self._templates.render(name, variables)
            except Unrenderable as error:
                composed.refuse(name, error.code, error.message)
                texts[name] = "-"
            composed.size += len(texts[name])
        return texts

    # Attachments ------------------------------------------------------------------------------------------------

    def _paths(self, given: object) -> list[str]:
        """Return the paths of the attachments that a row will have."""
        if not isinstance(given, dict):
            return []
        found = _attachments_of(given)
        found = self._defaults.get("attachments") if found is None else found
        listed = found if isinstance(found, list) else ()
        paths = (item.get("path") for item in listed if isinstance(item, dict))
        return [path for path in paths if isinstance(path, str)]

    def _attach(self, composed: _Composed) -> None:
        row: Row = composed.value
        nested = SHORT_FORM.is_vendor_form(row)
        where = "content.attachments" if nested else "attachments"
        found = _attachments_of(row)
        if not isinstance(found, list) or not _names_files(row):
            return
        attached = [self._attached(composed, item, f"{where}[{at}]") for at, item in enumerate(found)]
        if nested:
            composed.value = {**row, "content": {**row["content"], "attachments": attached}}
        else:
            composed.value = {**row, "attachments": attached}

    def _attached(self, composed: _Composed, item: Any, where: str) -> Any:
        """Return an attachment with its content, or one that breaks no rule where there is none."""
        if not isinstance(item, dict) or "path" not in item:
            return item
        path = item["path"]
        rest = {key: value for key, value in item.items() if key != "path"}
        if path is None:
            return rest
        if not isinstance(path, str):
            composed.refuse(f"{where}.path", "INVALID_TYPE", "must be a string")
        elif item.get("data") is not None:
            composed.refuse(where, "ATTACHMENT_PATH_AND_DATA", "has a path and data: one of them is enough")
        else:
            try:
                data = self._load(composed, path)
            except Unreadable as error:
                composed.refuse(f"{where}.path", error.code, error.message)
            else:
                name = file_name_of(path) if item.get("file_name") is None else item["file_name"]
                kind = item.get("mime_type")
                if kind is None:
                    kind = type_of(name if isinstance(name, str) else path)
                return {**rest, "file_name": name, "data": data, "mime_type": kind}
        return {"file_name": where, "data": "LQ==", "mime_type": "text/plain"}

    def _load(self, composed: _Composed, path: str) -> str:
        try:
            data = self._attachments.load(path)
        except StorageError as error:
            raise StorageError(f"row {composed.number}: {error.message}") from error.__cause__
        if composed.size + len(data) > self._most_bytes:
            message = f"is too large together with the rest: a request may have {self._most_bytes} bytes in Base64"
            raise Unreadable("ATTACHMENT_TOO_LARGE", message)
        composed.size += len(data)
        return data


def _attachments_of(row: Row) -> Any:
    if not SHORT_FORM.is_vendor_form(row):
        return row.get("attachments")
    content = row.get("content")
    return content.get("attachments") if isinstance(content, dict) else None


def _names_files(given: object) -> bool:
    """Tell, for either form, whether an attachment may be one that has to be read."""
    if not isinstance(given, dict):
        return False
    found, content = given.get("attachments"), given.get("content")
    if found is None and isinstance(content, dict):
        found = content.get("attachments")
    return isinstance(found, list) and any(isinstance(item, dict) and "path" in item for item in found)


def _judged(part: list[_Composed], judge: Judge) -> Iterable[Message | Reject]:
    """Judge rows together, and those that have errors already each by itself: a reject takes no reference."""
    if not any(composed.errors for composed in part):
        return judge([(composed.number, composed.value) for composed in part])
    good = iter(judge([(composed.number, composed.value) for composed in part if not composed.errors]))
    return [_reject(composed, judge) if composed.errors else next(good) for composed in part]


def _reject(composed: _Composed, judge: Judge) -> Reject:
    [judged] = judge([(composed.number, composed.value)])
    if isinstance(judged, Reject):
        return replace(judged, errors=(*composed.errors, *judged.errors))
    return Reject(row=composed.number, errors=tuple(composed.errors), reference=judged.reference)


def _unknown(name: object, known: Iterable[str]) -> str:
    similar = get_close_matches(str(name)[:40], known, n=1)
    hint = f" (did you mean {similar[0]!r}?)" if similar else ""
    return f"is no field of a message, and no template uses it{hint}; what need not be used may stand in {VARS!r}"
