"""What is kept for so long and no longer: every rule once, applied each night, or at once."""

from mailprefs.jobs.retention.rules import RULES, STAYS, Rule
from mailprefs.jobs.retention.running import Retention

__all__ = ["RULES", "STAYS", "Retention", "Rule"]
