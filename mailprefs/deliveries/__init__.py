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
"""
