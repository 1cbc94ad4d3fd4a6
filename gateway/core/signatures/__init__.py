"""App-key request signatures, checked and made: pure byte work, no clock, no sockets, no directory.

``canonical`` builds the string to sign, ``verify`` compares digests, ``content`` judges Content-MD5 and timestamps,
``backend`` signs what the gateway sends to an upstream. Finding the app behind a key is steps/authenticate.py.
"""
