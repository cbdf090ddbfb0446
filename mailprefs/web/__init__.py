"""Pages, pixel and webhook: each reads a request, opens one transaction, shows the answer."""
