"""Bringing people, and their no's, from a CSV file.

``examining`` finds out how a file is written, ``reading`` gives its records one at a time,
``columns`` says what the columns mean, ``people`` makes a person of a record, ``deciding`` is the
only statement of what an import may do to whom, ``sqlite`` and ``postgresql`` write one slice each
in their database's fastest way, and ``run`` is the job. An import never makes a yes of a no.
"""
