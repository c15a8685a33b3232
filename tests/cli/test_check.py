"""``airflow-messaging check``: what Test Connection says, and an exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cli.commands import run

SECRET = "sandbox-secret-that-is-wrong"


def test_connections_of_all_vendors_work_with_the_sandbox(sandbox: Any, connections: None) -> None:
    names = ["marigold_default", "engageone_default", "messangi_default", "pressnxpress_default"]
    done = run("check", *names, "--json")
    assert [(each["connection"], each["works"]) for each in done.json["connections"]] == [(n, True) for n in names]
    assert "Token valid for" in done.json["connections"][0]["message"]


def test_a_refused_secret_is_exit_code_1_and_no_output_has_it(sandbox: Any) -> None:
    connection = json.loads(sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"]) | {"password": SECRET}
    done = run("check", "-", given=json.dumps(connection), code=1)
    assert done.out.startswith("NO  messaging_given (marigold): marigold token: ")
    assert SECRET not in done.out + done.err


def test_a_uri_on_standard_input_is_taken(sandbox: Any) -> None:
    wanted = json.loads(sandbox.connections["AIRFLOW_CONN_PRESSNXPRESS_DEFAULT"])
    code = (
        "import sys; from airflow.models.connection import Connection; "
        "print('URI ' + Connection.from_json(sys.argv[1], conn_id='x').get_uri())"
    )
    made = subprocess.run([sys.executable, "-c", code, json.dumps(wanted)], capture_output=True, text=True, check=True)
    (uri,) = (line[4:] for line in made.stdout.splitlines() if line.startswith("URI "))
    assert run("check", "-", given=uri).out.startswith("ok  messaging_given (pressnxpress): ")


def test_a_connection_of_the_metadata_database_is_found(sandbox: Any, airflow_db: Path) -> None:
    connection = sandbox.connections["AIRFLOW_CONN_MESSANGI_DEFAULT"]
    add = [sys.executable, "-m", "airflow", "connections", "add", "of_the_database", "--conn-json", connection]
    subprocess.run(add, check=True, capture_output=True, timeout=110)
    try:
        assert run("check", "of_the_database", "--json").json["connections"][0]["works"] is True
    finally:
        delete = [sys.executable, "-m", "airflow", "connections", "delete", "of_the_database"]
        subprocess.run(delete, check=True, capture_output=True, timeout=110)


def test_a_connection_that_nobody_knows_is_a_usage_error(airflow_db: Path) -> None:
    done = run("check", "nobody_knows_it", code=2)
    assert "there is no connection 'nobody_knows_it', neither in the environment" in done.err


def test_a_connection_of_another_type_is_a_usage_error() -> None:
    done = run("check", '{"conn_type": "http", "host": "example.com"}', code=2)
    assert "has the type 'http'; ours are marigold, engageone, messangi, pressnxpress" in done.err


def test_what_is_neither_uri_nor_json_is_not_quoted() -> None:
    done = run("check", '{"conn_type": "marigold", "password": "pa55word"', code=2)
    assert "neither a connection's URI nor its JSON" in done.err
    assert "pa55word" not in done.out + done.err
