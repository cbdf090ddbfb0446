"""Everything that is stored about one person, for that person: as JSON and as a page to read.

``telling``     for each column of a person's rows, under which name it is told, or why it isn't
``beside``      what is told beside those columns: choices, messages, hand-overs, acts
``collecting``  the rows of one person, table by table, as the schema's marks say
``reading``     the two tables that need more than their own row: choices, and messages
``export``      what was collected, and its JSON
``page``        the same as one HTML file, in the person's language
"""

from mailprefs.privacy.access.collecting import collect, collect_by_staff
from mailprefs.privacy.access.export import Export, Section, as_json
from mailprefs.privacy.access.page import as_html

__all__ = ["Export", "Section", "as_html", "as_json", "collect", "collect_by_staff"]
