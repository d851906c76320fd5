"""The object format: bodies sealed into blobs, index rows sealed into columns, data keys wrapped and opened.

Knows no storage and no HTTP. The bytes are described in docs/formats/object.md; every function quotes its section.
"""
