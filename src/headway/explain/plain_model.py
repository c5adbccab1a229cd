"""The weights as they were learned, beside those that answer, which are laid out so that nobody can look into them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from headway.errors import UsageError
from headway.model_dir import LoadedModel, load_model
from headway.model_files import is_exported


def plain_model(answering: LoadedModel) -> LoadedModel:
    """The same model; the last is kept. Raises UsageError where it is another engine's, or a newer one has taken its place."""
    if is_exported(answering.directory):
        raise UsageError("another engine runs this model", remedy="take the model that it was exported from")
    plain = _loaded(answering.directory, answering.fingerprint)
    if plain.fingerprint != answering.fingerprint:
        raise UsageError("the directory holds a newer model than the one that answers", remedy="load it again")
    return plain


@lru_cache(maxsize=1)
def _loaded(directory: Path, _fingerprint: str) -> LoadedModel:
    loaded = load_model(directory)
    loaded.model.eval()
    return loaded
