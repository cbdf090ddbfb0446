import asyncio
import re
import socket
import threading
import urllib.request
from pathlib import Path

import pytest

from tests.plugins.network import OutsideConnection

# TEST-NET-1 (RFC 5737) and the IPv6 documentation prefix (RFC 3849): nobody lives there.
OUTSIDE = [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")]


@pytest.mark.parametrize(("family", "host"), OUTSIDE, ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def test_a_connection_to_another_machine_is_refused_by_name(
    family: socket.AddressFamily, kind: socket.SocketKind, host: str
) -> None:
    with socket.socket(family, kind) as outside:
        outside.settimeout(1)
        with pytest.raises(OutsideConnection, match=re.escape(host)):
            outside.connect((host, 9))
        with pytest.raises(OutsideConnection):
            outside.connect_ex((host, 9))


def test_a_datagram_to_another_machine_is_refused() -> None:
    outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with outside, pytest.raises(OutsideConnection):
        outside.sendto(b"hello", ("192.0.2.1", 9))


def test_a_name_is_not_even_looked_up() -> None:
    with pytest.raises(OutsideConnection, match=r"api\.vendor\.example"):
        socket.getaddrinfo("api.vendor.example", 443)
    with pytest.raises(OutsideConnection):
        socket.gethostbyname("api.vendor.example")


def test_libraries_are_seen_as_well() -> None:
    with pytest.raises(OutsideConnection):
        urllib.request.urlopen("http://192.0.2.1/", timeout=1)
    with pytest.raises(OutsideConnection):
        asyncio.run(asyncio.wait_for(asyncio.open_connection("192.0.2.1", 9), 1))


@pytest.mark.parametrize(
    ("family", "host"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "localhost"), (socket.AF_INET6, "::1")],
)
def test_loopback_is_open(family: socket.AddressFamily, host: str) -> None:
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        assert family == socket.AF_INET6, "IPv4 loopback must exist everywhere"
        return  # a machine without IPv6
    with server, socket.socket(family) as client:
        client.connect((host, server.getsockname()[1]))
        assert client.getpeername()[1] == server.getsockname()[1]


def test_unix_sockets_are_open(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))


def test_a_thread_is_guarded_too() -> None:
    seen: list[BaseException] = []

    def reach_out() -> None:
        try:
            socket.create_connection(("192.0.2.1", 9), timeout=1)
        except OutsideConnection as error:
            seen.append(error)

    thread = threading.Thread(target=reach_out)
    thread.start()
    thread.join(5)
    assert len(seen) == 1
