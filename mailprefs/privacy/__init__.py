"""What the people in the database may ask of it, and what the law may ask about them.

``erasing``  everything of one person goes, in one transaction, as the columns' marks say
``sealing``  the address, unreadable without the keys, until the vendor has erased it, too
``requests`` the single-use links by which people ask, mailed to the address on file
``proof``    what an erasure removed and how far it is, without the person
``whose``    which rows of which table are about one person
``holds``    whose data may not be deleted for now, by law
``lifting``  the end of a hold, and what was waiting for it
"""

from mailprefs.privacy.erasing import Asked, Erased, erase, erase_address, erased_key
from mailprefs.privacy.lifting import Lifted, lift
from mailprefs.privacy.proof import Proof, by_id, newest, of, waiting

__all__ = [
    "Asked",
    "Erased",
    "Lifted",
    "Proof",
    "by_id",
    "erase",
    "erase_address",
    "erased_key",
    "lift",
    "newest",
    "of",
    "waiting",
]
