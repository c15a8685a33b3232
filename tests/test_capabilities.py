"""Every cell of the README's table is backed by a test, which is named here and exists."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTHING = "–"
VENDORS = ("Marigold", "EngageOne", "Messangi", "Press'nXPress")

E2E = "e2e/test_vendor_dags.py::"
FORM = "test_provider_info.py::test_every_extra_that_the_form_asks_for_is_read"
# By row: a test for each vendor that has something in its cell.
TESTS: dict[str, tuple[str | None, ...]] = {
    "connection form": (FORM, FORM, FORM, FORM),
    "Test Connection": (
        "hooks/test_marigold_test_connection.py",
        "hooks/test_engageone_tokens.py::test_a_good_connection_tells_how_long_its_token_lives_and_whose_it_is",
        "hooks/test_messangi_auth.py::test_the_form_says_who_logged_in_and_what_is_seen",
        "hooks/test_pressnxpress_calls.py::test_test_connection_reaches_the_host_and_says_what_it_did_not_check",
    ),
    "many messages, each sent once": (
        "e2e/test_example_dag.py::test_every_valid_message_is_accepted_once_and_every_other_rejected",
        E2E + "test_engageone_suppresses_uploads_sends_and_waits",
        E2E + "test_messangi_writes_subscribers_and_sends_each_an_sms",
        E2E + "test_pressnxpress_asks_everybody_once_and_rejects_another_spelling",
    ),
    "rejects to mend and replay, manifest, dry run": (
        "operators/test_send_rejects.py",
        "operators/test_engageone_addresses.py::test_rejects_can_be_mended_and_given_again",
        "operators/test_messangi_send.py::test_the_manifest_has_the_vendors_id",
        "operators/test_pressnxpress_send.py::test_a_dry_run_judges_and_sends_nothing",
    ),
    "goes on where a killed try stopped": (
        "delivery/test_kills.py",
        "operators/test_engageone_kill.py::test_every_address_is_suppressed_through_kills_and_throttling",
        "operators/test_messangi_subscribers.py::test_five_thousand_are_written_through_kills_and_throttling",
        "operators/test_pressnxpress_kills.py",
    ),
    "a lost answer is": (
        "delivery/test_engine_faults.py",
        "operators/test_engageone_campaigns.py::test_a_lost_answer_is_ambiguous_reported_and_never_sent_again",
        "operators/test_messangi_send.py::test_where_the_connection_says_so_a_lost_reply_is_looked_up",
        "hooks/test_pressnxpress_calls.py::test_what_may_have_been_taken_is_not_repeated",
    ),
    "one file [from many workers](docs/scale.md)": (
        "e2e/test_sharded_dag.py",
        "operators/test_sharding.py::test_other_operators_take_shards_as_well",
        "operators/test_sharding.py::test_other_operators_take_shards_as_well",
        "operators/test_sharding.py::test_other_operators_take_shards_as_well",
    ),
    "templates for each row": (
        "operators/test_send_templates.py",
        None,
        None,
        "operators/test_pressnxpress_send.py::test_identifiers_are_made_of_each_contacts_columns",
    ),
    "wait, deferrable": (
        "e2e/test_example_dag.py::test_the_sensor_waited_out_of_the_workers_until_everything_was_there",
        "sensors/test_campaign_send_sensor.py",
        None,
        None,
    ),
    "feedback to object storage and SQL, [for years](docs/bounce-etl.md)": (
        "e2e/test_example_dag.py::test_all_that_came_back_was_landed_and_loaded_once",
        None,
        None,
        None,
    ),
    "DAGs that start on [new feedback](docs/event-driven.md)": ("e2e/test_feedback_watcher.py", None, None, None),
    "a receiver of [webhooks](docs/webhooks.md), none lost, each once": (
        "webhooks/test_receiver.py::test_events_survive_a_killed_receiver_each_once",
        None,
        None,
        None,
    ),
    "DAGs that start on the [vendor's webhooks](docs/webhooks.md#into-dags), gaps filled": (
        "e2e/test_webhook_dag.py::test_a_bounce_puts_its_address_on_the_blacklist_within_seconds",
        None,
        None,
        None,
    ),
    "[from feedback to the blacklist](docs/suppression.md)": (
        "operators/test_suppression_attribution.py",
        "operators/test_suppression_kill.py",
        None,
        None,
    ),
    "suppression": (None, "operators/test_engageone_addresses.py::test_a_list_is_suppressed_and_reported", None, None),
    "subscribers and lists": (
        None,
        None,
        "operators/test_messangi_subscribers.py::test_subscribers_are_created_and_replaced",
        None,
    ),
    "archive, statistics": ("archive/test_export.py", None, None, None),
    "assets, templates, listings": (
        None,
        "operators/test_engageone_campaigns.py::test_an_asset_is_uploaded",
        "operators/test_messangi_resources.py::test_a_template_is_created_and_its_id_returned",
        None,
    ),
    "any other request": (
        None,
        "operators/test_engageone_campaigns.py::test_the_general_request_reaches_any_service",
        "operators/test_messangi_resources.py::test_any_resource_can_be_reached",
        None,
    ),
    "[notifier](docs/notifications.md) for failures and deadlines": (
        "e2e/test_alerts.py::test_the_mail_of_a_failure_has_the_exception_and_links_into_airflow",
        None,
        E2E + "test_a_failed_dag_sends_an_sms",
        None,
    ),
    "Airflow's own alerts by mail": (
        "e2e/test_alerts.py::test_airflows_own_alert_comes_through_marigold_with_one_line_of_configuration",
        None,
        None,
        None,
    ),
    "[links](docs/links.md) from a task to its files and what to do": (
        "e2e/test_alerts.py::test_each_mapped_task_links_to_its_own_files_also_if_it_fails",
        "test_links.py::test_every_sending_operator_has_the_links",
        "test_links.py::test_every_sending_operator_has_the_links",
        "test_links.py::test_every_sending_operator_has_the_links",
    ),
    "played by the [sandbox](docs/sandbox.md)": (
        "sandbox/test_send_rules.py",
        "sandbox/engageone",
        "sandbox/messangi",
        "sandbox/pressnxpress",
    ),
}


def table() -> dict[str, list[str]]:
    """The README's rows: what it is, and its cells by vendor."""
    lines = (ROOT / "README.md").read_text().splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("| |") and "Marigold" in line)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in _until_blank(lines[start:])]
    assert tuple(rows[0][1:]) == VENDORS
    return {row[0]: row[1:] for row in rows[2:]}


def _until_blank(lines: list[str]) -> list[str]:
    return lines[: lines.index("")]


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_readmes_rows_are_the_ones_with_tests() -> None:
    assert list(table()) == list(TESTS)


@pytest.mark.parametrize("row", TESTS)
def test_a_cell_says_something_where_a_test_backs_it_and_nothing_else(row: str) -> None:
    said = {vendor: cell != NOTHING for vendor, cell in zip(VENDORS, table()[row], strict=True)}
    assert said == {vendor: test is not None for vendor, test in zip(VENDORS, TESTS[row], strict=True)}


@pytest.mark.parametrize("test", sorted({test for tests in TESTS.values() for test in tests if test}))
def test_the_test_is_there(test: str) -> None:
    place, _, name = test.partition("::")
    path = ROOT / "tests" / place
    if name:
        assert name in functions(path)
        return
    files = [path] if path.is_file() else list(path.glob("test_*.py"))
    assert any(each.startswith("test_") for file in files for each in functions(file))
