"""Tags of users and roles."""

from __future__ import annotations

from iam.entities import EntityKind, Group, Role, User
from iam.face.authorisation import requested_tags, tag_keys
from iam.face.call import Call, Document
from iam.face.identities import new_tags, permitted, tag_page
from iam.policy.variables import Context

_NOTHING: Context = {}


class EntityTags:
    """TagUser, UntagUser and ListUserTags, or those of roles."""

    def __init__(self, kind: EntityKind) -> None:
        self._kind = kind

    def tag(self, call: Call) -> None:
        tags = new_tags(call)
        call.store.tag(self._permitted(call, "Tag{}", requested_tags(tags)), tags)

    def untag(self, call: Call) -> None:
        keys = call.request.texts("TagKeys")
        call.store.untag(self._permitted(call, "Untag{}", tag_keys(keys)), keys)

    def list(self, call: Call) -> Document:
        return tag_page(call, self._permitted(call, "List{}Tags").tags)

    def _permitted(self, call: Call, operation: str, keys: Context = _NOTHING) -> User | Role:
        entity = permitted(call, self._kind, f"iam:{operation.format(self._kind.title())}", keys)
        assert not isinstance(entity, Group)
        return entity
