"""The only door into the KMS: data types, errors and the `KeyService` protocol.

Everything here is values and interfaces; nothing here does I/O.
"""
