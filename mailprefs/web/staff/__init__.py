"""The staff pages: nothing under /staff answers anybody who isn't signed in, but the doors.

``pages``      joins the parts below into one blueprint, with what all of them share
``sign_in``    the doors: password, one-time link, and the way out
``account``    one's own password
``campaigns``  all campaigns, and how each stands
``writing``    new campaigns and changes to drafts
``sending``    checks, tests, approval, sending, stopping
``previews``   what one person would get
``public_pages``  what everybody may read
``people``     where one person stands, found by exact address
``legal``      holds on people's data, and what was disclosed to whom
``inbound``    mail that people wrote to us
``keys``       keys of programs
``looking``    whom a member of staff has found, and may look at for a while
``lists``      topics, and the audit
``team``       the staff and their roles
``entries``    the audit's entries in words
``words``      what things are called
"""
