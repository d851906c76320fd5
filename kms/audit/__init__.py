"""The audit trail: a chained line for each call of the KMS, checkpoints signed in the HSM, and their verifier.

Knows nothing of keys: `kms.service` says what happened, this package keeps it (docs/formats/audit-line.md).
"""
