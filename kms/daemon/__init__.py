"""kmsd: the one process of a node that talks to the HSM and holds KMS keys, behind a Unix socket.

Started by exec as `python -m kms.daemon`, never by fork; `kms.daemon.settings` says with which order.
"""
