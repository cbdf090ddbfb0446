"""The doctor: what of an installation is set up as it should be, in plain words.

``findings``  what a check comes to, and how they are put together
``keys``      keys and settings
``reach``     the addresses that people's links lead to
``account``   the vendor's account: webhook, tracking, senders, clock
``house``     database, disks, spool and workers
``measuring`` the files by which fetches of the pixel are judged
``examining`` all of them, one after the other; one that breaks off doesn't hold up the others
"""
