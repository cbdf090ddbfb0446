"""The command line: reads words, opens one transaction, calls one function, prints the answer."""
