"""Campaign and person make a message; import from the modules, this package exports nothing.

``merge``     the merge language: fields, fallbacks, conditional blocks
``markdown``  Markdown into MJML components and plain semantic HTML
``mjml``      MJML into HTML, without anything remote
``text``      HTML into the text part
``markup``    what finished HTML holds: links, pictures, and what must not be in it
``layouts``   the files under ``templates/email``
``letterhead``  what topic and sender put on every message
``composing``  compose(): one source into a Content
``content``   a message as it is handed over, and its sizes
``person``    personalise(): one person's values for that content; render(): both put together
``lint``      findings(): what stands in the way of sending a content

One content serves up to 500 people in one request. The vendor replaces tags by plain text, in
subject, text and HTML alike, and not in headers; everything here follows from that.
"""
