from __future__ import annotations

from tests.contexts import fresh_tokens

__all__ = ["fresh_tokens"]
