"""The blob store: immutable ciphertext, written once, read by ranges, named by a 16-byte id."""
