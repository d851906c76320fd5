"""What lifecycle rules do: deciding about each version of a key, passes over all buckets, headers of answers."""
