from tests.conformance.key_service import KeyServiceSuite


class TestEmbeddedKeyService(KeyServiceSuite):
    """The suite in process, over a root in memory; fixture `service` in conftest."""
