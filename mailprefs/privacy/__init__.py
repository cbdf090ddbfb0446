"""What the people in the database may ask of it: to be erased, everywhere.

``erasing``  everything of one person goes, in one transaction, as the columns' marks say
``sealing``  the address, unreadable without the keys, until the vendor has erased it, too
``requests`` the single-use links by which people ask, mailed to the address on file
``proof``    what an erasure removed and how far it is, without the person
"""

from mailprefs.privacy.erasing import Asked, Erased, erase, erase_address, erased_key
from mailprefs.privacy.proof import Proof, by_id, newest, of, waiting

__all__ = [
    "Asked",
    "Erased",
    "Proof",
    "by_id",
    "erase",
    "erase_address",
    "erased_key",
    "newest",
    "of",
    "waiting",
]
