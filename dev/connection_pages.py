"""The pages of Airflow on which people keep connections, as a browser shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

STANDARD_FIELDS = ("host", "login", "password", "port")


class ConnectionPages:
    """Makes, opens, tests and deletes connections as a person would."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.labels: dict[str, str] = {}
        self.choices: frozenset[str] = frozenset()

    def of_type(self, described: Mapping[str, Any]) -> ConnectionPages:
        """Know a connection type's fields by its metadata."""
        fields = described["conn-fields"]
        self.labels = {name: field["label"] for name, field in fields.items()}
        self.choices = frozenset(name for name, field in fields.items() if "enum" in field["schema"])
        return self

    def create(self, hook_name: str, conn_id: str, values: Mapping[str, Any]) -> None:
        self.open_new(hook_name)
        self.page.locator("input[name=connection_id]").fill(conn_id)
        self.fill(values)
        self.save()

    def open_new(self, hook_name: str) -> Locator:
        self.page.goto(f"{self.url}/connections")
        self.page.get_by_role("button", name="Add Connection").first.click()
        chooser = self.dialog.get_by_role("combobox", name="Connection Type")
        chooser.click()
        chooser.press_sequentially(hook_name)
        self.page.get_by_role("option", name=hook_name, exact=True).click()
        self.dialog.get_by_role("button", name="Standard Fields").wait_for()
        return self.dialog

    def edit(self, conn_id: str, values: Mapping[str, Any]) -> None:
        self.open(conn_id)
        self.fill(values)
        self.save()

    def open(self, conn_id: str) -> Locator:
        self._row(conn_id).get_by_role("button", name="Edit Connection").click()
        self.dialog.get_by_role("button", name="Standard Fields").wait_for()
        return self.dialog

    def fill(self, values: Mapping[str, Any]) -> None:
        """Standard fields by their names, extras by theirs."""
        self.show("Standard Fields")
        for name in STANDARD_FIELDS:
            if name in values:
                self.standard_field(name).fill(str(values[name]))
        self.show("Extra Fields")
        for name, value in values.items():
            if name not in STANDARD_FIELDS:
                self._fill_extra(name, value)

    def show(self, section: str) -> None:
        button = self.dialog.get_by_role("button", name=re.compile(f"^{section}$"))
        if button.get_attribute("aria-expanded") != "true":
            button.click()

    def standard_field(self, name: str) -> Locator:
        return self.dialog.locator(f"[name={name}]")

    def extra_field(self, name: str) -> Locator:
        return self.dialog.locator(f"[name=element_{name}]")

    def save(self) -> None:
        with self.page.expect_response(lambda answer: "/api/v2/connections" in answer.url) as saved:
            self.dialog.get_by_role("button", name="Save").click()
        assert saved.value.ok, saved.value.text()
        self.dialog.wait_for(state="hidden")

    def test(self, conn_id: str) -> str:
        """Press Test and return what is shown then."""
        self._row(conn_id).get_by_role("button", name="Test Connection").click()
        shown = self.page.get_by_role("status").filter(has_text="Test Connection")
        shown.wait_for()
        return shown.inner_text()

    def delete(self, conn_id: str) -> None:
        self._row(conn_id).get_by_role("button", name="Delete Connection").click()
        with self.page.expect_response(lambda answer: answer.request.method == "DELETE"):
            self.dialog.get_by_role("button", name="Yes, Delete").click()
        self.page.get_by_role("row").filter(has_text=conn_id).wait_for(state="detached")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def _row(self, conn_id: str) -> Locator:
        """The connection in the list, which is loaded anew: what was shown before is gone."""
        self.page.goto(f"{self.url}/connections")
        return self.page.get_by_role("row").filter(has=self.page.get_by_text(conn_id, exact=True))

    def _fill_extra(self, name: str, value: Any) -> None:
        field = self.extra_field(name)
        if isinstance(value, dict):
            # An editor for JSON, which has no name: it is found by its place in the group of the field's label.
            editor = self.dialog.get_by_role("group").filter(has=self.page.get_by_text(self.labels[name], exact=True))
            editor.locator(".monaco-editor .view-lines").click()
            self.page.keyboard.press("ControlOrMeta+A")
            self.page.keyboard.insert_text(json.dumps(value))
            # The editor adds closing quotes and braces of its own.
            self.page.keyboard.press("ControlOrMeta+Shift+End")
            self.page.keyboard.press("Delete")
        elif isinstance(value, bool):
            # The box itself is hidden: people press the switch around it.
            if field.is_checked() != value:
                field.locator("xpath=..").click()
        elif name in self.choices:
            chooser = self.dialog.get_by_role("combobox", name=self.labels[name])
            chooser.click()
            self.page.get_by_role("option", name=value, exact=True).click()
        else:
            field.fill(str(value))
