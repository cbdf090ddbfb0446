"""Contents as the claims need them: read once, then kept, because they never change."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.rendering.content import Content
from mailprefs.schema.campaigns import Content as ContentRow

_MOST_KEPT = 64


class Contents:
    """The contents that this process has sent lately, by id; threads may share it."""

    def __init__(self) -> None:
        self._kept: dict[int, Content] = {}

    def get(self, session: Session, content_id: int) -> Content:
        """Give one content, from memory or from the database."""
        known = self._kept.get(content_id)
        if known is not None:
            return known
        row = session.execute(
            select(ContentRow.tags, ContentRow.subject, ContentRow.text, ContentRow.html).where(
                ContentRow.id == content_id
            )
        ).one()
        content = Content.from_document(row.tags, subject=row.subject, text=row.text, html=row.html)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[content_id] = content
        return content
