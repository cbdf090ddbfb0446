"""mailprefs sends a company's newsletters and notices and keeps the promises of its privacy policy.

Nothing is imported from this root: every module names the module it needs.
"""
