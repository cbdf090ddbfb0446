"""Write a small file of countries in MaxMind's format, for tests.

After the format's description, version 2.0 (maxmind.github.io/MaxMind-DB): a binary tree over the
bits of addresses, 24 bits a record; then what its leaves point to; then metadata.
"""

from collections.abc import Mapping
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from struct import pack
from typing import Any

_MARK = b"\xab\xcd\xefMaxMind.com"
_V4_IN_V6 = 96
# Control bytes of unsigned numbers, which hold their size, too.
_U16, _U32, _U64 = (b"\xa2", ">H"), (b"\xc4", ">I"), (b"\x08\x02", ">Q")


def write_mmdb(path: Path, networks: Mapping[str, object], *, built: int) -> None:
    """Write *networks* and what is held about each; *built*: seconds since 1970."""
    # A node is [left, right]; each is None, another node's number, or ("leaf", offset).
    nodes: list[list[Any]] = [[None, None]]
    leaves = b""
    for text, held in networks.items():
        _put(nodes, _bits(text), ("leaf", len(leaves)))
        leaves += _coded(held)
    tree = b""
    for node in nodes:
        for side in node:
            if side is None:
                number = len(nodes)
            elif isinstance(side, tuple):
                number = len(nodes) + 16 + side[1]
            else:
                number = side
            tree += number.to_bytes(3, "big")
    metadata = {
        "binary_format_major_version": _number(_U16, 2),
        "binary_format_minor_version": _number(_U16, 0),
        "build_epoch": _number(_U64, built),
        "database_type": "Countries",
        "description": {"en": "Made up"},
        "ip_version": _number(_U16, 6),
        "languages": [],
        "node_count": _number(_U32, len(nodes)),
        "record_size": _number(_U16, 24),
    }
    path.write_bytes(tree + bytes(16) + leaves + _MARK + _coded(metadata))


def _bits(text: str) -> str:
    network = ip_network(text)
    whole = f"{int(network.network_address):0{network.max_prefixlen}b}"
    before = "0" * _V4_IN_V6 if isinstance(network, IPv4Network) else ""
    return before + whole[: network.prefixlen]


def _put(nodes: list[list[Any]], bits: str, leaf: object) -> None:
    at = 0
    for bit in bits[:-1]:
        if nodes[at][int(bit)] is None:
            nodes.append([None, None])
            nodes[at][int(bit)] = len(nodes) - 1
        at = nodes[at][int(bit)]
    nodes[at][int(bits[-1])] = leaf


def _number(kind: tuple[bytes, str], value: int) -> bytes:
    return kind[0] + pack(kind[1], value)


def _coded(value: object) -> bytes:
    """Code a value: a control byte with type and size, then the bytes."""
    match value:
        case str():
            raw = value.encode()
            size = (
                bytes([2 << 5 | len(raw)]) if len(raw) < 29 else bytes([2 << 5 | 29, len(raw) - 29])
            )
            return size + raw
        case bytes():
            return value  # coded before
        case dict():
            parts = (_coded(key) + _coded(held) for key, held in value.items())
            return bytes([7 << 5 | len(value)]) + b"".join(parts)
        case list():
            return bytes([len(value), 4]) + b"".join(map(_coded, value))
        case _:
            raise TypeError(type(value))
