"""What a token answers to an operation that it does not offer."""

from __future__ import annotations

from typing import Final

from pkcs11 import exceptions as p11

# Anything else (a lost session, a failing device) says nothing about what the token can do.
UNSUPPORTED: Final = (
    p11.MechanismInvalid,
    p11.MechanismParamInvalid,
    p11.FunctionNotSupported,
    p11.KeyNotWrappable,
    p11.KeyUnextractable,
    p11.KeyTypeInconsistent,
    p11.KeySizeRange,
    p11.TemplateIncomplete,
    p11.TemplateInconsistent,
    p11.AttributeSensitive,
    p11.AttributeTypeInvalid,
    p11.AttributeValueInvalid,
    p11.ArgumentsBad,
    p11.WrappingKeyTypeInconsistent,
    p11.UnwrappingKeyTypeInconsistent,
)
