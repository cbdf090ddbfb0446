"""No test talks to the network: whatever leaves this machine is refused, with a clear error.

An audit hook sees every connection that Python opens, through whatever library, and can't be
taken off again by the code under test (sys.addaudithook). Other programs that a test starts are
not seen; they get addresses of this machine only.
"""

import ipaddress
import sys


class OutsideConnection(RuntimeError):
    """A test tried to reach something beyond this machine."""


def is_here(host: object) -> bool:
    """Tell whether *host* is this machine: loopback, unspecified, or no network address at all."""
    if not isinstance(host, str | bytes):
        return True  # None (any interface), or an address family without hosts, such as netlink
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name in {"", "localhost"} or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse_the_outside(event: str, arguments: tuple[object, ...]) -> None:
    """Raise OutsideConnection for a connection, datagram or name lookup that is not for here."""
    if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = arguments[0]
    elif event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
        # A text is the path of a Unix socket; a pair or more is a host with a port.
        host = address[0] if isinstance(address, tuple) else None
    else:
        return
    if not is_here(host):
        raise OutsideConnection(
            f"A test tried to reach {host!r} ({event}). Tests talk to this machine only:"
            " give it the sandbox, or a server of its own on 127.0.0.1.",
        )


sys.addaudithook(refuse_the_outside)
