"""The send ledger: who is to get what, who has it, and what is not known; nobody twice.

``numbers``  delivery ids and what they are made of
``freeze``   the audience becomes deliveries, and these become batches
``limits``   how many recipients may go: the limiter that all workers share
``pace``     the common wait and the stop that all workers obey
``claim``    one batch is taken, with everything that its request needs
``outcome``  what one request came to
``cancel``   what is not handed over never will be
``counts``   how a campaign stands; the sum always holds
``settle``   lost leases, and campaigns that have come to their end
``single``   one message to one person, on the same path
``weekly``   who wants at most one promotional message a week

Whoever locks several of the rows that all share takes them in this order, so that nobody waits in a
circle (PostgreSQL; on SQLite there is one writer at a time):

1. ``hand_overs``, by id, but for one that is only now inserted
2. ``vendor_pace``
3. ``call_pace``, behind the lock of the former
4. ``send_counts``, by name
5. ``campaigns``, by id, and only with FOR NO KEY UPDATE: a claim, which has its batch already,
   refers to its campaign when it splits the batch, and must not wait for that
6. ``batches``
7. ``last_promotions``, by recipient
8. ``deliveries``, ``measured``, ``measured_totals``

A claim takes pending batches only, and passes over those that are locked. Who ends campaigns passes
over those that are locked, too.
"""
