"""All tables together: importing this module makes ``metadata`` whole."""

from mailprefs.schema import (
    alarms,
    campaigns,
    choices,
    deliveries,
    erasures,
    events,
    imports,
    inbound,
    instance,
    legal,
    opens,
    people,
    reports,
    requests,
    sending,
    staff,
)
from mailprefs.schema.base import Base

metadata = Base.metadata
GROUPS = (
    people,
    choices,
    staff,
    campaigns,
    deliveries,
    erasures,
    events,
    opens,
    imports,
    inbound,
    requests,
    instance,
    legal,
    alarms,
    sending,
    reports,
)
