"""P4 and P5: of who fetches a picture nothing is kept but a country at most and a client family.

Neither IP address nor user agent is written anywhere: database, its log, spool, our own log.
"""

import logging
import random
import re
import secrets
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from mailprefs import relays
from mailprefs.jobs.ingest import Ingest
from mailprefs.schema.opens import Open
from tests.company import Company
from tests.mmdb import write_mmdb

pytestmark = pytest.mark.faults

OPENS = 1_000
PEOPLE = [f"person{number}@example.org" for number in range(20)]
# A word that nothing else on this machine says, so that files shared with others may be searched.
WORD = f"Quagga{secrets.token_hex(8)}"


def agents(draw: random.Random) -> str:
    number = f"{WORD}/{draw.randrange(10_000)}"
    return draw.choice(
        [
            f"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0 {number}",
            f"Thunderbird/140.0 {number}",
            f"{number} (via ggpht.com GoogleImageProxy)",
            f"curl/8.5.0 {number}",
            number,
        ]
    )


def addresses(draw: random.Random) -> str:
    if draw.random() < 0.3:
        return str(IPv6Address(0x2A02 << 112 | draw.getrandbits(112)))
    return ".".join(map(str, (draw.randint(60, 90), *(draw.randint(100, 255) for _ in range(3)))))


def found_in(content: bytes, used: list[tuple[str, str]]) -> set[str]:
    """Give what of the addresses and user agents stands in *content*, in text or in bytes.

    Four bytes may stand anywhere by chance, so IPv4 addresses are looked for as text only.
    """
    seen = {one.decode() for one in re.findall(rb"\d+\.\d+\.\d+\.\d+|2a02:[0-9a-f:]+", content)}
    packed = {ip_address(one).packed: one for one, _ in used if ":" in one}
    raw = re.findall(rb"(?s)(?=(\x2a\x02.{14}))", content)
    found = seen & {one for one, _ in used} | {packed[one] for one in raw if one in packed}
    return found | ({WORD} if WORD.encode() in content else set())


def held(company: Company, folder: Path) -> dict[str, bytes]:
    """Give everything that the installation has written, by where it stands."""
    found = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if company.db.engine.dialect.name == "postgresql":
        with company.db.reading() as session:
            session.execute(text("SELECT pg_switch_wal()"))
            place = Path(str(session.scalar(text("SHOW data_directory"))))
            mine = str(session.scalar(text("SELECT pg_relation_filepath('opens')")))
        files = [*(place / mine).parent.iterdir(), *(place / "pg_wal").glob("0*")]
        found |= {str(path): path.read_bytes() for path in files if path.is_file()}
    return found


def furnish(company: Company, folder: Path) -> None:
    """Let the company look at addresses wherever it may."""
    folder.mkdir()
    networks = {"64.0.0.0/2": {"country": {"iso_code": "DE"}}}
    write_mmdb(folder / "c.mmdb", networks, built=2_000_000_000)
    (folder / "list.csv").write_text("61.0.0.0/12,GB\n")
    company.parts.settings.data_dir.mkdir(exist_ok=True)
    relays.load(folder / "list.csv", company.parts.settings.data_dir, now=company.clock())
    company.change(trusted_proxies="127.0.0.1", country_db=folder / "c.mmdb")


def test_after_a_thousand_opens_no_address_and_no_user_agent_is_anywhere(
    company: Company, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    furnish(company, tmp_path / "countries")
    company.bring(*PEOPLE)
    messages = company.arrived(company.send())
    company.clock.pass_by(minutes=1)
    draw = random.Random(7)
    used: list[tuple[str, str]] = []
    with caplog.at_level(logging.DEBUG):
        for number in range(OPENS):
            address, agent = addresses(draw), agents(draw)
            used.append((address, agent))
            company.client.get(
                str(messages[number % len(messages)].pixel),
                headers={"User-Agent": agent, "X-Forwarded-For": address},
            )
        assert company.parts.spool.refused == company.parts.spool.lost == 0
        spooled = held(company, tmp_path)
        Ingest(company.db, company.parts.settings.spool_dir, company.clock).drain()
        company.db.checkpoint()
    with company.db.reading() as session:
        kinds = session.execute(select(Open.kind, func.count()).group_by(Open.kind)).all()
        countries = set(session.scalars(select(Open.country)))
    assert len(kinds) >= 3, "the opens came through"
    assert countries == {"DE", None}, "their countries, too"

    written = [*spooled.items(), *held(company, tmp_path).items(), ("log", caplog.text.encode())]
    assert len(written) > 5
    assert {place: found for place, content in written if (found := found_in(content, used))} == {}


def test_the_search_finds_what_is_there() -> None:
    used = [("61.102.103.104", ""), ("2a02::7:8", "")]
    for content in (b"from 61.102.103.104,", b"x2a02::7:8", ip_address("2a02::7:8").packed):
        assert len(found_in(b"\x2a\x02" + content, used)) == 1
    assert found_in(f"a {WORD}/7".encode(), used) == {WORD}
    assert found_in(b"61.102.103.105 2a02::7:9", used) == set()
