"""Answers about campaigns: how many people opened, how sure that is, and what can't be told.

``statistic``  the formula of the open rates, its interval, and when it is not to be shown; pure
``cells``      which of the numbers about opens may be shown to anybody; pure
``campaigns``  one campaign's report, from sums only
"""
