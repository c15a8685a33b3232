from __future__ import annotations

from tests.contexts import fresh_tokens, object_storage

__all__ = ["fresh_tokens", "object_storage"]
