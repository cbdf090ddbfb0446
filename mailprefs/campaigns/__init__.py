"""Campaigns: writing them, checking them, letting them go, stopping them, and how they stand."""
