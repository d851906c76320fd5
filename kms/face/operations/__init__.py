"""The operations that are served, by family: each takes a parsed request to the key service and its answer back."""
