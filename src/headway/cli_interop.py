"""The verbs that bring models in and take them elsewhere. Help comes from the docstrings."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from pathlib import Path

from headway.command_line import Arguments, say
from headway.errors import DataError, ModelError, ResourceError, UsageError


def import_(arguments: Arguments) -> None:
    """Make a model directory of one that Hugging Face's libraries have saved, or fetch it from their hub first.

    BERT, RoBERTa, DistilBERT, ELECTRA and MiniLM; GPT-2, Llama, Mistral, Phi-3, Gemma, Qwen2 and Qwen3; Marian, BART, mBART,
    M2M100 (NLLB), Blenderbot and T5; ViT and Whisper. The directory holds config.json, model.safetensors (or several, with an
    index), and tokenizer.json (of Marian source.spm, target.spm and vocab.json) or preprocessor_config.json or both; nothing in
    it is run, and what Headway does not know is refused by its name. A name in its place, `owner/name`, is fetched: these files
    alone, into the cache of Hugging Face, with `pip install 'headway[hub]'`. Learn on with `model.start_from: OUT`: the shape is
    taken from there. Where a model knows several languages, --from and --to name the pieces that ask for them; Marian is told
    what to write alone.

    examples:
      headway import downloads/all-MiniLM-L6-v2 models/minilm
      headway import sentence-transformers/all-MiniLM-L6-v2 models/minilm
      headway train reviews.yaml model.start_from=models/minilm
      headway import downloads/nllb-200-distilled-600M models/nllb --from eng_Latn --to deu_Latn
      headway import downloads/opus-mt-en-gmw models/gmw --to deu
      headway import downloads/whisper-tiny models/whisper --from '<|de|>' --to '<|de|>'
    """
    from headway.interop.hub import fetch, is_hub_name
    from headway.interop.huggingface import import_model
    from headway.model_files import refuse_existing

    languages = None
    if arguments.from_ or arguments.to:
        if not arguments.to:
            raise UsageError("--from needs --to", remedy="name the piece of either language")
        languages = (arguments.from_, arguments.to)
    out, source, origin = Path(arguments.out), Path(arguments.directory), None
    if is_hub_name(arguments.directory, arguments.revision):
        refuse_existing(out)
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


def export(arguments: Arguments) -> int:
    """Write a model as others open it, and ask both the same lines: how many answers are the same, scores, speed, memory.

    huggingface: config.json, model.safetensors, tokenizer.json, for `AutoModel`; a model that was imported goes back to its
    family, one of Headway's own to one that computes the same. ctranslate2: a fast engine for machines without a GPU.
    onnx: graphs for onnxruntime, which read, label, tag, embed and write without Headway. gguf: one file for llama.cpp.
    `headway predict OUT` asks it as it asks a run. `headway check` tells before training where a configuration can go.
    Lines are those of the validation set, or --lines. Where the answers differ more than they may, the exit code is 4.

    examples:
      headway export runs/multi30k multi30k-huggingface --to huggingface
      headway export runs/multi30k multi30k-int8 --to ctranslate2 --quantization int8
      headway predict multi30k-int8 input.txt
      headway export runs/reviews reviews-onnx --to onnx
    """
    from headway.evaluation.export_parity import compare_export
    from headway.evaluation.export_table import export_table
    from headway.interop.destinations import DESTINATIONS, export_model
    from headway.model_dir import load_model

    loaded, out = load_model(arguments.run), Path(arguments.out)
    lines = _lines(arguments.lines) if arguments.lines and not arguments.no_comparison else None
    export_model(loaded, out, arguments.to, arguments.quantization)
    code, runner = 0, DESTINATIONS[arguments.to].runner
    if arguments.no_comparison:
        pass
    elif find_spec(runner) is None:
        say(f"not compared: the package {runner} is not installed")
    else:
        try:
            parity = compare_export(loaded, out, arguments.to, arguments.quantization, lines)
        except DataError as error:
            say(f"not compared: {error}")
        except ResourceError as error:  # it is written all the same
            say(f"not compared: {error}")
            code = error.exit_code
        else:
            say(export_table(parity))
            code = ModelError.exit_code if parity.passed is False else 0
    print(out)
    return code


def _lines(name: str) -> list[str]:
    from headway.data.lines import read_line_blocks

    lines = [line for block in read_line_blocks(name) for line in block]
    if not any(line.strip() for line in lines):
        raise DataError("holds no line to ask", where=name, remedy="give a file with lines for predict")
    return lines
