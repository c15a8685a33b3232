"""Which proxy a request takes."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.transport.options import TransportOptions


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: its URL without credentials, and the header that carries them."""

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)


def choose_proxy(url: str, options: TransportOptions) -> Proxy | None:
    """Return the proxy for `url`: the explicit one, else the environment's, which loopback never takes.

    :raises ConfigurationError: if the environment names a proxy of a kind that we can't use.
    """
    if options.proxy is not None:
        return _parse(options.proxy, setting="extra 'proxy'")
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_loopback(host):
        return None
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    address = proxies.get(parts.scheme) or proxies.get("all")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not address or proxy_bypass(f"{host}:{port}"):
        return None
    if "://" not in address:
        address = f"http://{address}"
    return _parse(address, setting=f"environment variable {parts.scheme.upper()}_PROXY or ALL_PROXY")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse(address: str, *, setting: str) -> Proxy:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in {"http", "https"}:
        raise ConfigurationError("only http and https proxies can be used", setting=setting)
    headers = {}
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(credentials.encode()).decode()
    netloc = f"[{host}]" if ":" in host else host
    if port is not None:
        netloc += f":{port}"
    return Proxy(urlunsplit((parts.scheme, netloc, "", "", "")), headers)
