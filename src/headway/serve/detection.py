"""Which language a text is in, among those that a server knows: py3langid, a small model that comes with its package."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any

from headway.languages import base_language
from headway.serve.problems import Problem

REMEDY = "name the language, or have the server's owner do: pip install 'headway[detect]'"


class Detector:
    """Loads its model when it is first asked, which takes a second or two: ask it in a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: Any = None

    def rank(self, text: str, languages: Collection[str]) -> list[tuple[str, float]]:
        """The languages that are known, the likeliest first, with how sure it is of them among these, from 0 to 1.

        Where the text has no letters it is sure of none. Raises Problem where the package is not installed.
        """
        found = dict(self._loaded().rank(text)) if any(map(str.isalpha, text)) else {}
        shares = {language: found.get(base_language(language), 0.0) for language in languages}
        whole = sum(shares.values())
        return sorted(((one, share / whole if whole else 0.0) for one, share in shares.items()), key=lambda pair: -pair[1])

    def _loaded(self) -> Any:
        with self._lock:
            if self._model is None:
                try:
                    from py3langid.langid import MODEL_FILE, LanguageIdentifier
                except ImportError:
                    raise Problem(501, "no_detection", "languages are not detected here", REMEDY) from None
                self._model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
            return self._model
