"""What holds for every sequence of requests, found out by Hypothesis.

In process (`in_process.py`), so that hundreds of sequences take seconds; some of it over real sockets in
`tests/clients/test_properties.py`.
"""
