"""Every operation of the KMS model: how it is asked to succeed, and to answer each error that the model lists."""
