"""Delivery ids: ``campaign_id << 32 | ordinal``, and how ordinals are given out.

A batch is a range of ids and of one content, and the freeze goes through the audience once. So
each content of a campaign has a block of ordinals of its own: the first counts from 1, the second
from 2**27 + 1, and so on.
"""

from typing import Final

from mailprefs.errors import Conflict

_CAMPAIGN_BITS: Final = 32
_BLOCK_BITS: Final = 27
LARGEST_BLOCK: Final = (1 << _BLOCK_BITS) - 1
"""People that one content of a campaign can have: 134 million."""
MOST_CONTENTS: Final = 1 << (_CAMPAIGN_BITS - _BLOCK_BITS)


def delivery_id(campaign_id: int, ordinal: int) -> int:
    """Give the id of a campaign's delivery number *ordinal*."""
    return campaign_id << _CAMPAIGN_BITS | ordinal


def campaign_of(delivery: int) -> int:
    """Give the campaign that a delivery id belongs to."""
    return delivery >> _CAMPAIGN_BITS


def before_block(campaign_id: int, block: int) -> int:
    """Give the id just below the first one of content number *block* (from 0).

    :raises Conflict: for more contents than ids have room for.
    """
    if block >= MOST_CONTENTS:
        raise Conflict(
            f"Campaign {campaign_id} has more than {MOST_CONTENTS} contents. Send it as several "
            "campaigns."
        )
    return delivery_id(campaign_id, block << _BLOCK_BITS)
