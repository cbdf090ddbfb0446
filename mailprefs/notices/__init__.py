"""Versions of the policy: publishing one, telling everybody of it, and proving that they were."""
