"""The verbs that bring models in and take them elsewhere. Help comes from the docstrings."""

from __future__ import annotations

import shlex
from pathlib import Path

from headway.command_line import Arguments, say


def import_(arguments: Arguments) -> None:
    """Make a model directory of one that Hugging Face's libraries have saved.

    BERT, RoBERTa, DistilBERT and MiniLM; GPT-2, Llama, Mistral, Qwen2 and Qwen3. The directory holds config.json,
    model.safetensors (or several, with an index) and tokenizer.json; nothing in it is run, and what Headway does not
    know is refused by its name. Train on from it with `model.start_from: OUT`: what the model leaves open is as there.

    examples:
      headway import downloads/all-MiniLM-L6-v2 models/minilm
      headway predict models/minilm sentences.txt
      headway train reviews.yaml model.start_from=models/minilm
    """
    from headway.interop.huggingface import import_model

    found = import_model(Path(arguments.directory), Path(arguments.out))
    say(f"{found.family}: {found.parameters:,} parameters")
    if found.left:
        more = f" and {len(found.left) - 5} more" if len(found.left) > 5 else ""
        say(f"left behind, as Headway has no place for it: {', '.join(found.left[:5])}{more}")
    say(f"next: headway info {shlex.quote(str(found.directory))}")
    print(found.directory)
