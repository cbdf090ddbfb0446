import fcntl
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from struct import pack
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailprefs.errors import BadFile, BadSetting
from mailprefs.spool import (
    Record,
    Segment,
    Spool,
    key,
    only_reader,
    parts,
    read,
    remove,
    segments,
    unreadable,
    window,
)

ROOT = Path(__file__).parent.parent
NOON = 1_795_262_400_000
HEADER, RECORD = 64, 32


def hit(number: int, at_ms: int = NOON) -> Record:
    return Record(41 << 32 | number, False, at_ms, 1, 10, 6, "DE", 1)


def all_of(directory: Path, limit: int = 1000) -> list[Record]:
    found: list[Record] = []
    for segment in segments(directory):
        position, batch = 0, [hit(0)]
        while batch:
            batch, position = read(segment.path, position, limit)
            found += batch
    return found


def only_segment(directory: Path) -> Segment:
    (segment,) = segments(directory)
    return segment


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path, sync_seconds=None)
    yield spool
    spool.close()


# What is written is read


def test_a_hit_is_read_as_it_was_written(spool: Spool, tmp_path: Path) -> None:
    written = [
        hit(1),
        Record(2**63 - 1, False, NOON, 5, 12, 7, None, 65_535),
        Record(41, True, 0, 0, 0, 0, "US", 0),
    ]
    assert all(spool.append(one) for one in written)
    assert all_of(tmp_path) == written
    assert written[0].at == datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_the_format_is_as_documented(spool: Spool, tmp_path: Path) -> None:
    # Packed here from the description alone: segments outlive releases.
    spool.append(Record(0x29_0000_0007, True, NOON, 2, 3, 4, "FR", 5))
    taken = only_segment(tmp_path)
    raw = taken.path.read_bytes()
    assert len(raw) == taken.size == 4_194_304 and raw[96:].count(0) == len(raw) - 96
    spool.close()
    segment = only_segment(tmp_path)
    raw = segment.path.read_bytes()
    identity = bytes.fromhex(segment.path.stem)
    header = b"MPSPOOL\x01" + identity + pack(">Q", NOON) + bytes(28)
    body = pack(">QQBBBB2sH", 0x29_0000_0007, NOON, 1, 2, 3, 4, b"FR", 5) + bytes(4)
    assert raw == (
        header + pack(">I", crc32(header)) + body + pack(">I", crc32(body, crc32(identity)))
    )
    assert segment == Segment(segment.path, identity, NOON, 96)
    assert segment.path.stat().st_mode & 0o777 == 0o600


def test_reading_goes_on_from_the_position_given(spool: Spool, tmp_path: Path) -> None:
    for number in range(10):
        spool.append(hit(number))
    path = only_segment(tmp_path).path
    first, position = read(path, 0, 4)
    second, position = read(path, position, 4)
    assert [first, second] == [[hit(n) for n in range(4)], [hit(n) for n in range(4, 8)]]
    assert position == HEADER + 8 * RECORD
    third, end = read(path, position, 4)
    assert third == [hit(8), hit(9)]
    assert read(path, end, 4) == ([], end)
    spool.append(hit(10))
    assert read(path, end, 4) == ([hit(10)], end + RECORD)


def test_a_position_beyond_the_file_reads_nothing(spool: Spool, tmp_path: Path) -> None:
    spool.append(hit(1))
    assert read(only_segment(tmp_path).path, 10_000, 5) == ([], 10_000)


def test_no_hits_make_no_file_and_no_directory_has_no_segments(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a" / "b", sync_seconds=None)
    assert segments(tmp_path / "a" / "b") == []
    assert segments(tmp_path / "absent") == []
    spool.close()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_cannot_be_made_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting, match="MAILPREFS_DATA_DIR"):
        Spool(tmp_path / "file" / "spool")


# Damage


def test_a_torn_last_record_is_not_read_and_holds_nothing_up(spool: Spool, tmp_path: Path) -> None:
    spool.append(hit(1))
    spool.append(hit(2))
    spool.close()
    segment = only_segment(tmp_path)
    for cut in range(1, RECORD):
        os.truncate(segment.path, HEADER + 2 * RECORD - cut)
        found, position = read(segment.path, 0, 10)
        assert found == [hit(1)] and position == HEADER + RECORD
    assert not only_segment(tmp_path).has_more(position)


def test_after_a_torn_record_the_next_whole_one_is_found(spool: Spool, tmp_path: Path) -> None:
    for number in range(6):
        spool.append(hit(number))
    path = only_segment(tmp_path).path
    raw = path.read_bytes()
    for torn in range(1, RECORD):
        place = HEADER + 3 * RECORD
        path.write_bytes(raw[: place + torn] + raw[place + RECORD :])
        found, position = read(path, 0, 100)
        assert found == [hit(n) for n in (0, 1, 2, 4, 5)]
        assert position - HEADER - RECORD * len(found) == torn
        # The same in small bites.
        assert all_of(tmp_path, limit=2) == found


@pytest.mark.parametrize("place", range(RECORD))
def test_a_flipped_bit_costs_one_record(spool: Spool, tmp_path: Path, place: int) -> None:
    for number in range(4):
        spool.append(hit(number))
    path = only_segment(tmp_path).path
    raw = bytearray(path.read_bytes())
    raw[HEADER + RECORD + place] ^= 1 << (place % 8)
    path.write_bytes(raw)
    assert all_of(tmp_path) == [hit(0), hit(2), hit(3)]


def test_a_page_of_zeros_or_of_another_segment_is_passed_over(tmp_path: Path) -> None:
    ours, theirs = Spool(tmp_path / "a"), Spool(tmp_path / "b")
    for number in range(400):
        ours.append(hit(number))
        theirs.append(hit(1000 + number))
    ours.close()
    theirs.close()
    path = only_segment(tmp_path / "a").path
    raw = bytearray(path.read_bytes())
    raw[4096:8192] = bytes(4096)
    raw[8192:12288] = only_segment(tmp_path / "b").path.read_bytes()[8192:12288]
    path.write_bytes(raw)
    # A page holds a whole number of records, so that exactly those of two pages are gone.
    kept = [hit(n) for n in range(400) if not 126 <= n < 126 + 256]
    assert all_of(tmp_path / "a") == kept


@given(st.binary(max_size=300), st.integers(0, 2**64), st.integers(1, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_behind_a_header_make_a_hit_or_an_error(
    spool: Spool, tmp_path: Path, junk: bytes, position: int, limit: int
) -> None:
    spool.append(hit(1))
    path = only_segment(tmp_path).path
    path.write_bytes(path.read_bytes()[:HEADER] + junk)
    found, end = read(path, min(position, 1000), limit)
    assert found == [] and end >= min(position, 1000)


@pytest.mark.parametrize(
    "content",
    [b"", b"MPSPOOL\x01", bytes(64), b"MPSPOOL\x01" + bytes(100), os.urandom(200)],
    ids=["empty", "cut", "zeros", "no checksum", "noise"],
)
def test_a_file_without_a_good_header_is_left_alone_and_named(
    spool: Spool, tmp_path: Path, content: bytes
) -> None:
    spool.append(hit(1))
    stranger = tmp_path / "stranger.spool"
    stranger.write_bytes(content)
    assert all_of(tmp_path) == [hit(1)]
    assert unreadable(tmp_path) == [stranger]
    with pytest.raises(BadFile, match=r"stranger\.spool has no readable header"):
        read(stranger, 0, 1)


def test_a_segment_of_another_version_is_not_guessed_at(tmp_path: Path) -> None:
    body = b"MPSPOOL\x02" + bytes(52)
    path = tmp_path / "newer.spool"
    path.write_bytes(body + pack(">I", crc32(body)) + bytes(64))
    assert segments(tmp_path) == [] and unreadable(tmp_path) == [path]
    with pytest.raises(BadFile, match="another version"):
        read(path, 0, 1)


def test_a_file_that_went_away_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"gone\.spool can't be read: No such file"):
        read(tmp_path / "gone.spool", 0, 1)


# Bounds and rotation


def test_a_segment_is_followed_by_the_next_and_none_is_lost(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=HEADER + 10 * RECORD, sync_seconds=None)
    assert all(spool.append(hit(number, NOON + number)) for number in range(95))
    spool.close()
    found = segments(tmp_path)
    assert [segment.size for segment in found] == [HEADER + 10 * RECORD] * 9 + [HEADER + 5 * RECORD]
    assert [segment.started_ms for segment in found] == [NOON + n for n in range(0, 95, 10)]
    assert all_of(tmp_path) == [hit(number, NOON + number) for number in range(95)]


def test_a_full_spool_refuses_counts_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    limit = 3 * (HEADER + 10 * RECORD) + 5
    spool = Spool(tmp_path, max_bytes=limit, segment_bytes=HEADER + 10 * RECORD, sync_seconds=None)
    taken = [spool.append(hit(number, NOON)) for number in range(50)]
    assert taken == [True] * 30 + [False] * 20
    assert spool.refused == 20
    assert sum(segment.size for segment in segments(tmp_path)) <= limit
    first = segments(tmp_path)[0]
    first.path.unlink()
    # Looked at again only after a second, so that a full disk isn't asked for each hit.
    assert not spool.append(hit(50, NOON + 999))
    assert spool.append(hit(51, NOON + 1000))
    assert spool.refused == 21
    assert sum(segment.size for segment in segments(tmp_path)) <= limit
    spool.close()


def test_a_clock_that_was_set_back_does_not_keep_a_spool_shut(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=100, sync_seconds=None)
    assert spool.append(hit(1, NOON)) and not spool.append(hit(2, NOON))
    segments(tmp_path)[0].path.write_bytes(b"")
    spool._max_bytes = 10_000  # noqa: SLF001 - somebody made room
    assert spool.append(hit(3, NOON - 3_600_000))
    spool.close()


@pytest.mark.parametrize(
    "record",
    [
        hit(1)._replace(subject=-1),
        hit(1)._replace(subject=2**64),
        hit(1)._replace(at_ms=-1),
        hit(1)._replace(kind=256),
        hit(1)._replace(ruleset=70_000),
        hit(1)._replace(country="Ö\ud800"),
        hit(1)._replace(country="AUT"),
        hit(1)._replace(country=""),
    ],
    ids=range(8),
)
def test_what_cannot_be_written_is_counted_and_raises_nothing(
    spool: Spool, tmp_path: Path, record: Record
) -> None:
    assert spool.append(record) is False
    assert spool.append(hit(2)) is True
    assert spool.refused == 1
    assert all_of(tmp_path) == [hit(2)]


def test_a_directory_that_went_away_raises_nothing_and_is_used_when_it_is_back(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "spool"
    spool = Spool(directory, sync_seconds=None)
    directory.rmdir()
    assert not spool.append(hit(1))
    directory.mkdir()
    assert spool.append(hit(2, NOON + 2000))
    assert spool.refused == 1 and all_of(directory) == [hit(2, NOON + 2000)]
    spool.close()


def test_a_disk_without_room_for_a_segment_refuses_and_raises_nothing(tmp_path: Path) -> None:
    program = f"""
import resource, sys
from pathlib import Path
from mailprefs.spool import Spool, Record
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
spool = Spool(Path(sys.argv[1]), sync_seconds=None)
hits = [Record(number, False, {NOON} + 100 * number, 1, 1, 1, None, 1) for number in range(20)]
taken = [spool.append(one) for one in hits[:10]]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
taken += [spool.append(one) for one in hits[10:]]
print(taken.count(True), spool.refused)
"""
    assert run(program, tmp_path).split() == ["10", "10"]
    assert [one.subject for one in all_of(tmp_path)] == [*range(10, 20)]
    assert [path.suffix for path in tmp_path.iterdir()] == [".spool"]


def test_the_room_of_a_segment_is_taken_from_the_disk_at_once(spool: Spool, tmp_path: Path) -> None:
    spool.append(hit(1))
    stat = only_segment(tmp_path).path.stat()
    assert stat.st_blocks * 512 >= stat.st_size


def test_what_is_not_written_yet_is_waited_for_and_a_lost_page_is_not(
    spool: Spool, tmp_path: Path
) -> None:
    spool.append(hit(1))
    path = only_segment(tmp_path).path
    found, end = read(path, 0, 10)
    assert (found, end) == ([hit(1)], HEADER + RECORD)
    assert read(path, end, 10) == ([], end)
    with path.open("r+b") as file:
        # Half a record: its writer is amid it.
        file.seek(end)
        file.write(bytes(4) + b"half a record")
    assert read(path, end, 10) == ([], end)
    # The writer writes the whole of it, and more: what stood there is its own by then.
    spool.append(hit(2))
    spool.append(hit(3))
    assert read(path, end, 10)[0] == [hit(2), hit(3)]


def stale_at_first(monkeypatch: pytest.MonkeyPatch, first: int, last: int) -> None:
    """Let the first look miss what is written to these bytes of it meanwhile."""
    pread, looks = os.pread, [0]

    def look(descriptor: int, size: int, place: int) -> bytes:
        data = bytearray(pread(descriptor, size, place))
        looks[0] += 1
        if looks[0] == 1:
            data[first:last] = bytes(last - first)
        return bytes(data)

    monkeypatch.setattr(os, "pread", look)


def test_a_record_that_was_written_while_others_behind_it_were_read_is_not_passed_over(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        spool.append(hit(number))
    path = only_segment(tmp_path).path
    stale_at_first(monkeypatch, RECORD, 2 * RECORD)
    assert read(path, 0, 10)[0] == [hit(number) for number in range(4)]


def test_a_bite_that_was_blank_and_is_written_by_now_is_read_the_next_time(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        spool.append(hit(number))
    path = only_segment(tmp_path).path
    stale_at_first(monkeypatch, 0, 2 * RECORD)
    assert read(path, 0, 2) == ([], HEADER)
    assert read(path, HEADER, 10)[0] == [hit(number) for number in range(4)]


# Windows


def bodies(directory: Path, end: int | None = None) -> tuple[list[bytes], int]:
    return window(only_segment(directory).path, 0, end)


def test_a_window_is_all_that_is_there_and_the_same_when_it_is_read_again(
    spool: Spool, tmp_path: Path
) -> None:
    for number in range(20_000):
        spool.append(hit(number))
    found, end = bodies(tmp_path)
    assert end == HEADER + 20_000 * RECORD
    raw = only_segment(tmp_path).path.read_bytes()
    assert found == [raw[place : place + 28] for place in range(HEADER, end, RECORD)]
    for number in range(100):
        spool.append(hit(number))
    assert bodies(tmp_path, end) == (found, end)
    assert window(only_segment(tmp_path).path, end)[1] == end + 100 * RECORD


@given(st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_window_is_the_same_when_it_is_read_again_with_more_behind_it(
    tmp_path: Path, data: st.DataObject
) -> None:
    directory = tmp_path / str(len(list(tmp_path.iterdir())))
    spool = Spool(directory, segment_bytes=HEADER + 80 * RECORD, sync_seconds=None)
    for number in range(40):
        spool.append(hit(number))
    path = only_segment(directory).path
    place = st.integers(HEADER, HEADER + 40 * RECORD)
    for begin, size, byte in data.draw(
        st.lists(st.tuples(place, st.integers(1, 100), st.sampled_from([0, 7])), max_size=4)
    ):
        with path.open("r+b") as file:
            file.seek(begin)
            # Of what is written: the room behind it is the writer's, who writes over anything.
            file.write(bytes([byte]) * min(size, HEADER + 40 * RECORD - begin))
    found, end = bodies(directory)
    for number in range(30):
        spool.append(hit(100 + number))
    assert bodies(directory, end) == (found, end)
    spool.close()
    assert window(only_segment(directory).path, 0)[0][: len(found)] == found


def append_ending_blank(spool: Spool, path: Path, after: int) -> None:
    """Append a hit whose record ends in a zero, as one of 256 does."""
    seed = crc32(bytes.fromhex(path.stem))
    body = next(
        body
        for number in range(10_000)
        if not crc32(body := pack(">QQ", 41 << 32 | number, NOON) + hit(0).rest, seed) & 255
    )
    assert spool.append_hit(int.from_bytes(body[:8]), NOON, hit(0).rest)
    assert path.read_bytes()[after + RECORD - 1] == 0


@pytest.mark.parametrize("behind", [0, 1])
def test_a_record_that_ends_in_zeros_is_found_behind_a_damaged_one(
    spool: Spool, tmp_path: Path, behind: int
) -> None:
    """Also when a window ends with it that had more behind it at first."""
    spool.append(hit(1))
    spool.append(hit(2))
    segment = only_segment(tmp_path)
    append_ending_blank(spool, segment.path, end := HEADER + 2 * RECORD)
    for number in range(behind):
        spool.append(hit(3 + number))
    with segment.path.open("r+b") as file:
        file.seek(HEADER + RECORD)
        file.write(b"\7" * RECORD)
    raw = segment.path.read_bytes()
    assert bodies(tmp_path, end + RECORD)[0] == [raw[HEADER:][:28], raw[end:][:28]]
    spool.close()
    assert remove(segment, HEADER + RECORD) is False


def test_the_keys_of_records_stand_in_the_order_of_delivery_and_time(
    spool: Spool, tmp_path: Path
) -> None:
    written = [hit(number % 7, NOON + (number * 5) % 11) for number in range(70)]
    for one in written:
        spool.append(one)
    found = sorted(bodies(tmp_path)[0], key=key)
    told = [(subject, at_ms) for subject, at_ms, _ in parts(found)]
    assert told == sorted((one.subject, one.at_ms) for one in written)


# Several writers


def test_threads_share_a_segment_without_mixing_records(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=HEADER + 500 * RECORD, sync_seconds=0.001)
    taken: list[bool] = []

    def serve(first: int) -> None:
        taken.extend(spool.append(hit(first + number)) for number in range(2000))

    threads = [threading.Thread(target=serve, args=(start * 10_000,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.close()
    assert taken == [True] * 8000
    found = [one.subject & 0xFFFFFFFF for one in all_of(tmp_path)]
    assert sorted(found) == [s * 10_000 + n for s in range(4) for n in range(2000)]
    for segment in segments(tmp_path):
        within = [one.subject for one in read(segment.path, 0, 1000)[0]]
        for start in range(4):
            own = [one for one in within if (one & 0xFFFFFFFF) // 10_000 == start]
            assert own == sorted(own)


def test_each_process_has_a_segment_of_its_own_also_after_a_fork(tmp_path: Path) -> None:
    program = f"""
import os, sys
from pathlib import Path
from mailprefs.spool import Spool, Record
spool = Spool(Path(sys.argv[1]))
def hit(number): return Record(number, False, {NOON}, 1, 1, 1, None, 1)
spool.append(hit(1))
child = os.fork()
spool.append(hit(2 if child else 3))
if not child:
    spool.close()
    os._exit(0)
os.waitpid(child, 0)
spool.append(hit(4))
"""
    run(program, tmp_path)
    held = sorted(
        [one.subject for one in read(segment.path, 0, 10)[0]] for segment in segments(tmp_path)
    )
    assert held == [[1, 2, 4], [3]]


def test_two_spools_of_one_directory_have_different_segments(tmp_path: Path) -> None:
    first, second = Spool(tmp_path, sync_seconds=None), Spool(tmp_path, sync_seconds=None)
    first.append(hit(1))
    second.append(hit(2))
    assert len({segment.identity for segment in segments(tmp_path)}) == 2
    first.close()
    second.close()


# Death


WRITER = f"""
import os, sys, threading
from pathlib import Path
from mailprefs.spool import Spool, Record
spool = Spool(Path(sys.argv[1]), segment_bytes=64 + 32 * 700)
def serve(first):
    number = first
    while spool.append(Record(number, False, {NOON}, 1, 1, 1, None, 1)):
        os.write(1, b"%d\\n" % number)
        number += 1
threads = [threading.Thread(target=serve, args=(start,)) for start in (0, 1 << 32)]
for one in threads:
    one.start()
"""


def test_no_acknowledged_hit_is_lost_by_kill_9(tmp_path: Path) -> None:
    for seconds in (0.05, 0.15, 0.3):
        directory = tmp_path / str(seconds)
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, directory], cwd=ROOT, stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            answered = [writer.stdout.readline()]
            killer = threading.Timer(seconds, writer.send_signal, [signal.SIGKILL])
            killer.start()
            answered += writer.stdout.readlines()
        # The last line may be cut where the process died.
        acknowledged = {int(line) for line in answered if line.endswith(b"\n")}
        found = [one.subject for one in all_of(directory)]
        assert len(acknowledged) > 50
        assert acknowledged <= set(found)
        assert len(found) == len(set(found))
        for segment in segments(directory):
            assert remove(segment, segment.size)
        assert segments(directory) == []


def run(program: str, directory: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, directory],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


# Sync


def test_a_thread_asks_the_disk_to_keep_hits_and_ends_with_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = threading.Event()
    real = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        real(descriptor)
        kept.set()

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    spool = Spool(tmp_path, sync_seconds=0.01)
    assert "spool-sync" not in {thread.name for thread in threading.enumerate()}
    spool.append(hit(1))
    assert kept.wait(10)
    spool.close()
    assert "spool-sync" not in {thread.name for thread in threading.enumerate()}
    # Closing lets go; a late hit begins anew rather than being lost.
    assert spool.append(hit(2))
    spool.close()
    assert len(segments(tmp_path)) == 2


def test_closing_keeps_what_the_thread_had_not_yet_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(
        os, "fdatasync", lambda descriptor: kept.append(os.fstat(descriptor).st_size)
    )
    spool = Spool(tmp_path, segment_bytes=HEADER + 2 * RECORD, sync_seconds=3600)
    for number in range(5):
        spool.append(hit(number))
    assert kept == []
    spool.close()
    assert sorted(kept) == [HEADER + RECORD, HEADER + 2 * RECORD, HEADER + 2 * RECORD]


def test_the_disk_is_not_asked_again_for_what_it_has(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(os, "fdatasync", asked.append)
    spool.append(hit(1))
    spool.sync()
    spool.sync()
    assert len(asked) == 1
    spool.append(hit(2))
    spool.sync()
    assert len(asked) == 2


def test_a_process_that_can_start_no_thread_still_takes_hits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    spool = Spool(tmp_path)
    assert spool.append(hit(1)) and spool.append(hit(2))
    spool.close()
    assert all_of(tmp_path) == [hit(1), hit(2)]


def test_a_disk_that_fails_to_sync_does_not_stop_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def fail(descriptor: int) -> None:
        asked.append(descriptor)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    spool = Spool(tmp_path, sync_seconds=0.005)
    spool.append(hit(1))
    patience = time.monotonic() + 10
    while len(asked) < 3 and time.monotonic() < patience:
        time.sleep(0.005)
    spool.close()
    assert len(asked) >= 3
    assert all_of(tmp_path) == [hit(1)]


# Removal and the one reader


def test_a_segment_is_removed_only_when_read_to_its_end_and_its_writer_is_gone(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path, sync_seconds=None)
    spool.append(hit(1))
    spool.append(hit(2))
    segment = only_segment(tmp_path)
    _, end = read(segment.path, 0, 10)
    assert remove(segment, end) is False
    spool.close()
    assert remove(segment, 0) is False
    assert remove(segment, end - RECORD) is False
    assert segment.path.exists()
    assert remove(segment, end) is True
    assert not segment.path.exists()
    assert remove(segment, end) is True


def test_the_disk_keeps_that_a_segment_is_gone_before_its_position_may_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut could bring it back, to be counted once more from its beginning."""
    spool = Spool(tmp_path, sync_seconds=None)
    spool.append(hit(1))
    spool.close()
    segment = only_segment(tmp_path)
    kept: list[bool] = []

    def sync(descriptor: int) -> None:
        assert os.path.samestat(os.fstat(descriptor), tmp_path.stat())
        kept.append(segment.path.exists())

    monkeypatch.setattr(os, "fsync", sync)
    assert remove(segment, segment.size) is True
    assert kept == [False]


def test_hits_that_came_after_the_listing_keep_their_segment(tmp_path: Path) -> None:
    spool = Spool(tmp_path, sync_seconds=None)
    spool.append(hit(1))
    listed = only_segment(tmp_path)
    _, end = read(listed.path, 0, 10)
    spool.append(hit(2))
    spool.close()
    assert remove(listed, end) is False
    assert read(listed.path, end, 10)[0] == [hit(2)]


def test_a_rotated_segment_can_be_removed_while_its_process_lives(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=HEADER + 2 * RECORD, sync_seconds=None)
    for number in range(3):
        spool.append(hit(number, NOON + number))
    done, live = segments(tmp_path)
    assert remove(done, done.size) is True
    assert remove(live, live.size) is False
    spool.close()


def test_a_torn_end_does_not_keep_a_finished_segment_for_ever(tmp_path: Path) -> None:
    spool = Spool(tmp_path, sync_seconds=None)
    spool.append(hit(1))
    spool.close()
    path = only_segment(tmp_path).path
    path.write_bytes(path.read_bytes() + bytes(45))
    segment = only_segment(tmp_path)
    found, position = read(path, 0, 10)
    assert found == [hit(1)]
    assert remove(segment, position) is True


def test_one_reader_at_a_time_and_the_next_when_it_is_gone(tmp_path: Path) -> None:
    directory = tmp_path / "spool"
    with only_reader(directory) as first:
        with only_reader(directory) as second:
            assert (first, second) == (True, False)
        with only_reader(directory) as third:
            assert third is False
    with only_reader(directory) as fourth:
        assert fourth is True
    with suppress(RuntimeError), only_reader(directory):
        raise RuntimeError
    with only_reader(directory) as fifth:
        assert fifth is True


def test_the_reader_lock_ends_with_its_process(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from mailprefs.spool import only_reader
with only_reader(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with only_reader(tmp_path) as mine:
            assert mine is False
        other.kill()
        other.wait()
        with only_reader(tmp_path) as mine:
            assert mine is True


def test_a_writer_holds_the_lock_of_its_segment(spool: Spool, tmp_path: Path) -> None:
    spool.append(hit(1))
    with only_segment(tmp_path).path.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_reading_while_it_is_written_gives_each_hit_once_and_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=HEADER + 300 * RECORD, sync_seconds=0.001)
    draw = random.Random(7)
    writer = threading.Thread(
        target=lambda: [spool.append(hit(number, NOON + number)) for number in range(5000)]
    )
    writer.start()
    found: list[Record] = []
    positions: dict[bytes, int] = {}
    is_over = False
    while not is_over:
        is_over = not writer.is_alive()
        if is_over:
            spool.close()
        for segment in segments(tmp_path):
            position = positions.get(segment.identity, 0)
            batch = [hit(0)]
            while batch:
                batch, position = read(segment.path, position, draw.randint(1, 50))
                found += batch
            positions[segment.identity] = position
            remove(segment, position)
    assert found == [hit(number, NOON + number) for number in range(5000)]
    assert segments(tmp_path) == []
