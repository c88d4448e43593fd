"""`make test-clients`: real clients, as their users install them, against a real gateway over strict imitations.

`run.sh` installs, `play.py` starts the gateway and the clients' programs, `python/` and `node/` are the programs: one
small file a client, one line a check. A program steers the imitated model by what it asks (`stage.py`).
"""
