"""Whatever the doctor asks over https, it asks a side that it has verified, by TLS 1.2 or newer."""

import http.client
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprefs.doctor import reach
from mailprefs.settings import Settings
from mailprefs.vendor.account import Account, NoAnswer

KEYS = (b"the key of this installation now",)
_LAX = ssl.create_default_context


def lax() -> ssl.SSLContext:
    """Give the default of a system that still speaks any TLS."""
    context = _LAX()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    return context


def ask_vendor(_: Path) -> None:
    with pytest.raises(NoAnswer):
        Account("SG.any", "https://api.sendgrid.com").tracking()


def ask_ourselves(folder: Path) -> None:
    settings = Settings(data_dir=folder, base_url="https://mail.example.com")
    list(reach.of_addresses(settings, KEYS, ()))


@pytest.mark.parametrize("ask", [ask_vendor, ask_ourselves])
def test_each_question_is_asked_over_verified_tls(
    ask: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[http.client.HTTPSConnection] = []

    def connect(self: http.client.HTTPSConnection) -> None:
        opened.append(self)
        raise ConnectionRefusedError

    monkeypatch.setattr(http.client.HTTPSConnection, "connect", connect)
    monkeypatch.setattr(ssl, "create_default_context", lax)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    ask(tmp_path)
    (line,) = opened
    context: ssl.SSLContext = vars(line)["_context"]
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
