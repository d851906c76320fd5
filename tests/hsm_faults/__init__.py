"""A PKCS#11 module that goes wrong on command, before a real one: `faults.c`, made by `build`, told by `control`."""
