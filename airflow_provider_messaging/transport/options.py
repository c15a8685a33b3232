"""What a connection says about the way to its vendor: timeouts, proxy, certificates."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_messaging import __version__
from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.numbers import count, seconds

if TYPE_CHECKING:
    import ssl

_log = logging.getLogger(__name__)
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """How to reach a vendor; both drivers obey it alike.

    :param connect_timeout: seconds until a connection stands, TLS and proxy included.
    :param read_timeout: seconds without a byte of the answer.
    :param proxy: URL of an HTTP proxy for every request; None takes the environment's.
    :param verify: False accepts every certificate, a path is a file or folder of trusted certificates, True
        trusts what ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` or ``SSL_CERT_FILE`` names, else certifi's.
    :param client_cert: path of a client certificate (PEM), with its key unless `client_key` is given.
    :param client_key: path of the certificate's key (PEM, without a passphrase).
    :param pool_size: connections per host at the same time; further requests wait.
    :param keep_alive: seconds an idle connection is kept.
    """

    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    proxy: str | None = field(default=None, repr=False)
    verify: bool | str = True
    client_cert: str | None = None
    client_key: str | None = None
    user_agent: str = f"airflow-provider-messaging/{__version__}"
    pool_size: int = 16
    keep_alive: float = 75.0

    @classmethod
    def from_extra(cls, vendor: str, extra: Mapping[str, object]) -> TransportOptions:
        """Read the options from a connection's extra, where each stands under its own name.

        Values may be strings, as in a connection URI; None and "" take the default. Other keys are ignored.

        :raises ConfigurationError: naming the key whose value makes no sense.
        """
        values = {}
        for option in fields(cls):
            if (given := extra.get(option.name)) not in (None, ""):
                try:
                    values[option.name] = read_option(option.name, given)
                except ValueError as error:
                    raise _wrong(vendor, option.name, str(error)) from None
        if "client_key" in values and "client_cert" not in values:
            raise _wrong(vendor, "client_key", "is of no use without 'client_cert'")
        return cls(**values)  # type: ignore[arg-type]

    def ssl_context(self, vendor: str) -> ssl.SSLContext:
        """Build the TLS settings that both drivers use.

        :raises ConfigurationError: if a certificate file is missing or unreadable.
        """
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols(["http/1.1"])
        if self.verify is False:
            _log.warning("%s: certificates are not verified, as the connection's extra 'verify' says", vendor)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            trusted = _trusted_certificates() if self.verify is True else self.verify
            try:
                if os.path.isdir(trusted):
                    context.load_verify_locations(capath=trusted)
                else:
                    context.load_verify_locations(cafile=trusted)
            except (OSError, ValueError) as error:
                problem = f"can't load the trusted certificates from {trusted!r} ({type(error).__name__})"
                raise _wrong(vendor, "verify", problem) from None
        if self.client_cert is not None:
            try:
                # An empty password instead of a prompt on the worker's terminal.
                context.load_cert_chain(self.client_cert, self.client_key, password="")
            except (OSError, ValueError) as error:
                problem = f"can't load the client certificate {self.client_cert!r} ({type(error).__name__})"
                raise _wrong(vendor, "client_cert", problem) from None
        return context


def _trusted_certificates() -> str:
    for variable in _CA_VARIABLES:
        if path := os.environ.get(variable):
            return path
    import certifi

    return certifi.where()


def _wrong(vendor: str, key: str, problem: str) -> ConfigurationError:
    return ConfigurationError(f"extra {key!r} {problem}", vendor=vendor, setting=f"extra {key!r}")


def read_option(name: str, value: object) -> object:
    """Return an option's value as it was given, possibly as text, in its own type.

    :raises ValueError: saying what the value must be.
    """
    return _READERS[name](value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {type(value).__name__}")
    return value


def _header_text(value: object) -> str:
    text = _text(value)
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must be printable ASCII")
    return text


def _flag_or_path(value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    return _text(value)


def _proxy(value: object) -> str:
    # The value may hold a password: no message quotes it.
    try:
        parts = urlsplit(_text(value))
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("must be a URL such as http://proxy.example:3128")
    return str(value)


_READERS: dict[str, Callable[[object], object]] = {
    "connect_timeout": seconds,
    "read_timeout": seconds,
    "proxy": _proxy,
    "verify": _flag_or_path,
    "client_cert": _text,
    "client_key": _text,
    "user_agent": _header_text,
    "pool_size": count,
    "keep_alive": seconds,
}
