import pytest

pytest.register_assert_rewrite("tests.conformance.index", "tests.conformance.blobs")
