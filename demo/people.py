"""Make the demo's people: a file as an old newsletter tool exports it, with all that goes wrong.

Byte-order mark, semicolons, quotes, mixed case, duplicates, broken rows. Nobody in it exists; every
address is at a domain that is reserved for examples.
"""

import random
from pathlib import Path
from typing import NamedTuple

FIRST = (
    *("Ada", "Bruno", "Chiara", "Dilek", "Emil", "Fatou", "Goran", "Hana", "Ines", "Jonas"),
    *("Kaori", "Lukas", "Mila", "Nadia", "Olivier", "Paula", "Quentin", "Rosa", "Søren", "Tereza"),
    *("Umar", "Vera", "Wanda", "Ximena", "Yusuf", "Zoë", "Noah", "Amélie", "José", "Łucja"),
)
LAST = (
    *("Adler", "Bianchi", "Costa", "Dvořák", "Eriksen", "Fournier", "García", "Haddad", "Ito"),
    *("Jansen", "Kowalska", "Lindqvist", "Moreau", "Nowak", "O'Brien", "Papadakis", "Quispe"),
    *("Rossi", "Schäfer", "Tanaka", "Ueda", "Vogel", "Weber", "Xavier", "Yilmaz", "Zimmermann"),
)
DOMAINS = ("example.com", "example.org", "example.net", "mail.example", "post.test", "box.invalid")
# Region and language as the old tool spelled them; a few people's are unknown.
PLACES = (
    ("Germany", "de"),
    ("Deutschland", "de"),
    ("France", "fr"),
    ("US", "en"),
    ("United States", "en"),
    ("Canada", "en"),
    ("JP", "ja"),
    ("Brazil", "pt-BR"),
    ("", ""),
)
PLANS = ("balcony", "garden", "allotment", "")
HEADER = "E-Mail Address;First Name;Last Name;Country;Language;Plan;Internal note"
_ASCII = str.maketrans("èéëíöäüøłŁřčñáãçôÉ'", "eeeioauolLrcnaacoE-")


class File(NamedTuple):
    """What was written: the path, how many good people, duplicates and broken rows it holds."""

    path: Path
    people: int
    duplicates: int
    broken: int


def write(path: Path, *, people: int = 1_200, seed: int = 20_261_122) -> File:
    """Write *people* different people, and the trouble among them; the same seed, the same file."""
    draw = random.Random(seed)
    rows = [_row(draw, number) for number in range(people)]
    duplicates = [_again(draw, row) for row in draw.sample(rows, 23)]
    broken = _broken_rows()
    for row in (*duplicates, *broken):
        rows.insert(draw.randrange(len(rows) // 2, len(rows)), row)
    text = "\r\n".join([HEADER, *rows]) + "\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    return File(path, people, len(duplicates), len(broken))


def _row(draw: random.Random, number: int) -> str:
    first, last = draw.choice(FIRST), draw.choice(LAST)
    local = f"{first}.{last}{number}".translate(_ASCII)
    address = f"{local}@{draw.choice(DOMAINS)}"
    address = draw.choice((address, address, address.lower(), address.upper(), f" {address} "))
    country, language = draw.choice(PLACES)
    # One in ten gave no first name: the newsletter has to read well for them too.
    given = "" if number % 10 == 0 else first
    note = draw.choice(("", "", 'said "call me"', "two gardens; one greenhouse"))
    return ";".join(
        map(_quoted, (address, given, last, country, language, draw.choice(PLANS), note))
    )


def _again(draw: random.Random, row: str) -> str:
    """Give a row of somebody who is in the file already, in another spelling of the address."""
    address, rest = row.split(";", 1)
    return f"{draw.choice((address.upper(), address.lower()))};{rest}"


def _broken_rows() -> list[str]:
    return [
        "not-an-address;Ada;Adler;Germany;de;garden;",
        "two@at@example.com;Bruno;Bianchi;;;;",
        "Emil@;Emil;Eriksen;;;;",
        "zero\u200bwidth@example.com;Hana;Haddad;;;;",
        "spaces in@example.com;Ines;Ito;;;;",
        ";Nobody;Without Address;Germany;de;garden;",
        f"{'x' * 80}@example.com;Too;Long;;;;",
    ]


def _quoted(cell: str) -> str:
    """Quote a cell as the old tool did: only where it had to."""
    if any(mark in cell for mark in ';"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell
