"""The verbs that bring models in and take them elsewhere. Help comes from the docstrings."""

from __future__ import annotations

import shlex
from pathlib import Path

from headway.command_line import Arguments, say
from headway.errors import UsageError


def import_(arguments: Arguments) -> None:
    """Make a model directory of one that Hugging Face's libraries have saved, or fetch it from their hub first.

    BERT, RoBERTa, DistilBERT, ELECTRA and MiniLM; GPT-2, Llama, Mistral, Phi-3, Gemma, Qwen2 and Qwen3; Marian, BART, mBART,
    M2M100 (NLLB), Blenderbot and T5. The directory holds config.json, model.safetensors (or several, with an index) and
    tokenizer.json or, of Marian, source.spm, target.spm and vocab.json; nothing in it is run, and what Headway does not know
    is refused by its name. A name in its place, `owner/name`, is fetched: these files alone, into the cache of Hugging
    Face, with `pip install 'headway[hub]'`. Learn on with `model.start_from: OUT`: the shape is taken from there. Where a
    model knows several languages, --from and --to name the pieces that ask for them; Marian is told what to write alone.

    examples:
      headway import downloads/all-MiniLM-L6-v2 models/minilm
      headway import sentence-transformers/all-MiniLM-L6-v2 models/minilm
      headway train reviews.yaml model.start_from=models/minilm
      headway import downloads/nllb-200-distilled-600M models/nllb --from eng_Latn --to deu_Latn
      headway import downloads/opus-mt-en-gmw models/gmw --to deu
    """
    from headway.interop.hub import fetch, is_hub_name
    from headway.interop.huggingface import import_model

    languages = None
    if arguments.from_ or arguments.to:
        if not arguments.to:
            raise UsageError("--from needs --to", remedy="name the piece of either language")
        languages = (arguments.from_, arguments.to)
    out, source, origin = Path(arguments.out), Path(arguments.directory), None
    if is_hub_name(arguments.directory, arguments.revision):
        if out.exists():
            raise UsageError("is there already", where=str(out), remedy="name a new directory")
        source = fetch(arguments.directory, arguments.revision)
        origin = f"{arguments.directory}@{source.name}"
        say(f"fetched {origin}")
    found = import_model(source, out, languages, origin)
    say(f"{found.family}: {found.parameters:,} parameters")
    if found.left:
        more = f" and {len(found.left) - 5} more" if len(found.left) > 5 else ""
        say(f"left behind, as Headway has no place for it: {', '.join(found.left[:5])}{more}")
    say(f"next: headway info {shlex.quote(str(found.directory))}")
    print(found.directory)


def export(arguments: Arguments) -> None:
    """Write a model as Hugging Face's libraries open it: config.json, model.safetensors, tokenizer.json.

    A model that was imported goes back to its family. An encoder with a decoder of Headway's own (pre-norm, sinusoidal or
    learned positions) becomes Blenderbot's, which computes the same, and a language model GPT-2's or Llama's. What no family
    computes is refused, with the setting that is the reason.

    examples:
      headway export runs/multi30k multi30k-huggingface --to huggingface
      python -c 'from transformers import AutoModelForSeq2SeqLM as M; print(M.from_pretrained("multi30k-huggingface"))'
    """
    from headway.interop.huggingface_export import export_model
    from headway.model_dir import load_model

    found = export_model(load_model(arguments.run), Path(arguments.out))
    say(f"as a model of the family {found.family}")
    if found.preprocessing:
        steps = ", ".join(found.preprocessing)
        say(f"texts need the preprocessing of this model first, which its tokenizer there does not know: {steps}")
    print(found.directory)
