"""The API: what the pages show, as JSON. For signed-in staff; it only reads.

``routes``  campaigns, one campaign, one campaign's report
"""
