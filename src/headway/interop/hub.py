"""Fetches a model from Hugging Face's hub: a name in, a directory out; of a model's files only those that `import` reads.

It is the one place that asks a network for anything, and only on `headway import NAME OUT`. The files stay in the cache of
`huggingface_hub`, so that a second import fetches nothing; HF_HUB_OFFLINE and HF_ENDPOINT are heard as everywhere.
"""

from __future__ import annotations

import re
from pathlib import Path

from headway.errors import HeadwayError, MissingPackage, ModelError, ResourceError, UsageError
from headway.interop.family import CONFIG
from headway.model_dir import near_paths

NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
# Settings, tokenizers and weights that run nothing: no pickles, no code.
WANTED = [
    CONFIG, "generation_config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "source.spm", "target.spm",
    "spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "modules.json", "sentence_*_config.json",
    "config_sentence_transformers.json", "*_Pooling/config.json", "model*.safetensors", "model.safetensors.index.json",
]  # fmt: skip


def is_hub_name(given: str, revision: str | None) -> bool:
    """Whether `given` is to be fetched: it is `owner/name` or `name`, and no directory; a revision says so by itself.

    Raises:
        UsageError: it is neither a directory nor such a name, or more likely a path with a mistake in it.
    """
    path, is_name = Path(given), NAME.fullmatch(given) is not None and "--" not in given and ".." not in given
    if revision is not None:
        if path.is_dir() and (path / CONFIG).is_file():
            raise UsageError("is a directory, which has no revisions", where=given, remedy="leave --revision out")
        if not is_name:
            raise UsageError("is no name on the hub", where=given, remedy="give owner/name, or a path without --revision")
        return True
    if path.exists():
        return False
    near = near_paths(path)
    if "/" not in given:  # beside it are many things whose names are like those of published models
        near = [one for one in near if (one / CONFIG).is_file()]
    if is_name and not near and ("/" not in given or not path.parent.is_dir()):
        return True
    ways = [f"did you mean {' or '.join(map(str, near))}?"] if near else []
    ways += ["to fetch it from the hub, give --revision main"] if is_name else []
    remedy = " ".join(ways) or "give a directory as Hugging Face saves it, or a name on its hub: owner/name"
    raise UsageError("no such directory", where=given, remedy=remedy)


def fetch(name: str, revision: str | None) -> Path:
    """The directory that the model's files are in, whose name is the commit.

    Raises:
        MissingPackage: huggingface_hub is not installed.
        ModelError: there is no such model or revision, it is closed, or has no weights that can be read.
        ResourceError: the hub does not answer, or the disk refuses.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        remedy = "pip install 'headway[hub]', or give a directory with the model's files"
        raise MissingPackage("huggingface_hub", where=name, remedy=remedy) from None
    try:
        directory = Path(snapshot_download(name, revision=revision, allow_patterns=WANTED))
    except Exception as error:  # of whatever library speaks HTTP for it
        raise _told(error, name, revision) from error
    if not any(directory.glob("model*.safetensors")):
        problem = "has no weights as safetensors on the hub; others may run code when opened, and are not fetched"
        remedy = "see whether its page has them as a proposal (--revision refs/pr/1), or convert it where you trust it: "
        remedy += "transformers' AutoModel.from_pretrained(…).save_pretrained(…), and import that directory"
        raise ModelError(problem, where=name, remedy=remedy)
    return directory


def _told(error: Exception, name: str, revision: str | None) -> HeadwayError:
    """What a user can do about an error of the hub."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        remedy = "accept its terms on the hub's page, then: hf auth login"
        return ModelError("is given only to those who accept its terms", where=name, remedy=remedy)
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelError(f"has no revision {revision or 'main'}", where=name, remedy="give a branch, a tag or a commit")
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        remedy = "look the name up there: owner/name; if it is closed, first: hf auth login"
        return ModelError("is no directory, and the hub has no such model, or hides it", where=name, remedy=remedy)
    if isinstance(error.__cause__, errors.OfflineModeIsEnabled):
        remedy = "unset HF_HUB_OFFLINE to fetch it"
        return ResourceError("is no directory, nor in the cache, and HF_HUB_OFFLINE is set", where=name, remedy=remedy)
    problem = f"cannot be fetched: {type(error.__cause__ or error).__name__}: {_first_line(error)}"
    remedy = "see that the network and the disk are there, and try again: what has been fetched is kept"
    return ResourceError(problem, where=name, remedy=remedy)


def _first_line(error: Exception) -> str:
    return str(error.__cause__ or error).partition("\n")[0][:160]
