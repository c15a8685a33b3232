from __future__ import annotations

import pytest

from airflow_provider_messaging.core.errors import AuthenticationError, MessagingError, RateLimitedError, VendorError
from airflow_provider_messaging.core.flow import Api, NoAuth
from airflow_provider_messaging.core.http import Response
from airflow_provider_messaging.core.redact import Redactor
from airflow_provider_messaging.vendors.pressnxpress.endpoints import ENQUEUE_EMAIL
from airflow_provider_messaging.vendors.pressnxpress.problems import read_message, read_problem


def error(status: int, body: bytes) -> MessagingError:
    api = Api(
        vendor="pressnxpress",
        connection="feedback",
        base_url="https://vendor.example",
        auth=NoAuth(),
        read_problem=read_problem,
        redact=Redactor(["s3cr3t/key"]),
    )
    return api.error(ENQUEUE_EMAIL, Response(status=status, body=body))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message": "Enqueued."}', "Enqueued."),
        (b'{"message": "", "more": 1}', ""),
        (b'{"message": {"text": "x"}}', ""),
        (b'{"error": "x"}', ""),
        (b'["message"]', ""),
        (b'"message"', ""),
        (b"null", ""),
        (b"", ""),
        (b"<html>502 Bad Gateway</html>", ""),
        (b'{"message": "Enque', ""),
        (b"\xff\xfe", ""),
        (b'{"message": "' + b"x" * 5_000 + b'"}', "a message of 5000 characters"),
    ],
)
def test_the_vendors_sentence_is_read_where_there_is_one(body: bytes, message: str) -> None:
    assert read_message(Response(status=200, body=body)) == message


@pytest.mark.parametrize(
    ("status", "kind", "setting"),
    [
        (401, AuthenticationError, "password (API key) of the connection"),
        (403, AuthenticationError, "password (API key) and extra 'touchpoint_token' of the connection"),
        (404, VendorError, "extra 'touchpoint_token' of the connection (or its host: the vendor's pages name two)"),
        (
            429,
            RateLimitedError,
            "rate_limit or max_concurrency of the task, or the connection's extras 'retry_attempts' and 'retry_budget'",
        ),
        (302, VendorError, "host of the connection"),
    ],
)
def test_the_status_tells_what_to_change(status: int, kind: type[MessagingError], setting: str) -> None:
    found = error(status, b'{"message": "No."}')
    assert (type(found), found.setting) == (kind, setting)
    assert "HTTP" in str(found)
    assert "No." in str(found)


@pytest.mark.parametrize("echo", ["s3cr3t/key", "s3cr3t%2Fkey", "s3cr3t%2fkey"])
def test_a_secret_that_the_vendor_echoes_is_taken_out_however_it_is_written(echo: str) -> None:
    text = str(error(404, b'{"message": "GET /x?apiKey=' + echo.encode() + b' is unknown"}'))
    assert "/x?apiKey=*** is unknown" in text
    assert "s3cr3t" not in text
