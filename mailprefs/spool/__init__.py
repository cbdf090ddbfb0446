"""Pixel hits, written down on local disk before the picture is answered.

A hit that was acknowledged survives the death of the process (kill -9 included): it stands in the
kernel's own page of the file, which is mapped into memory. It survives a power cut once the disk
has it, which a thread asks for every second. Nothing here touches the database, so the pixel
answers while that is down.

**On disk.** A directory of segments, one at a time for each writing process, named
``<random 128-bit id in hex>.spool`` and locked (``flock``) by its writer for as long as that lives:
the directory must be on a local disk. All numbers are big-endian.

======  =====  =======================================================
header  bytes  meaning
======  =====  =======================================================
0       8      ``MPSPOOL`` and the format version, 1
8       16     the segment's id, as in its name
24      8      first hit, milliseconds since 1970 UTC
32      28     zeros
60      4      CRC-32 of the 60 bytes before
======  =====  =======================================================

======  =====  =======================================================
record  bytes  meaning
======  =====  =======================================================
0       8      delivery id, or campaign id
8       8      time, milliseconds since 1970 UTC
16      1      0: the first field is a delivery, 1: a campaign
17      1      kind (useragents.OpenKind)
18      1      reason (useragents.Reason)
19      1      client (useragents.Client)
20      2      country, ISO 3166-1 alpha-2, or zeros
22      2      ruleset of the classification
24      4      zeros
28      4      CRC-32 of the 28 bytes before, continued from the CRC-32 of the segment's id
======  =====  =======================================================

A segment takes all its room from the disk when it is begun, and gives the rest back when its writer
ends it. Records are written in order; where only zeros are left is room.

Header and records fill pages of 4,096 bytes without a rest, so that a page which a power cut lost
costs only the records in it. The checksum is tied to the segment, so that old blocks of another
file, which a power cut may bring back, aren't taken for hits.

**Reading.** One process of a machine reads (``only_reader``): it takes ``segments``, calls
``window`` from the position stored for each, stores effect and new position in one transaction, and
then calls ``remove``. The position is a byte offset, 0 at first. A window may be counted in parts,
in any order that can be told again: the same position and end give the same records.
"""

from mailprefs.spool.reading import (
    Segment,
    only_reader,
    read,
    remove,
    segments,
    unreadable,
    window,
)
from mailprefs.spool.records import Record, key, of_rest, parts
from mailprefs.spool.writing import Spool

__all__ = [
    "Record",
    "Segment",
    "Spool",
    "key",
    "of_rest",
    "only_reader",
    "parts",
    "read",
    "remove",
    "segments",
    "unreadable",
    "window",
]
