"""A file for each family of operations: ask what is needed, ask the store, shape the answer."""
