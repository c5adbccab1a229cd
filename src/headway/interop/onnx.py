"""A model of ours as graphs of ONNX, which many engines run: encoder.onnx, decoder.onnx, decoder_with_cache.onnx, weights.bin.

The weights of all graphs stand once in one file, which the graphs name; docs/huggingface.md tells their inputs and outputs.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch

from headway.config import Config
from headway.errors import MissingPackage
from headway.interop.onnx_graphs import CachedDecoderGraph, DecoderGraph, EncoderGraph, Signature
from headway.model_dir import LoadedModel

ENCODER, DECODER, DECODER_WITH_CACHE = "encoder.onnx", "decoder.onnx", "decoder_with_cache.onnx"
WEIGHTS = "weights.bin"
ASIDE = "quantizing"  # a directory of that name is there for a while
FILES = (
    *(ENCODER, DECODER, DECODER_WITH_CACHE, WEIGHTS),
    *(f"{ASIDE}/{name}" for name in ("whole.onnx", "whole.bin", "small.onnx", "small.onnx.data")),
)
QUANTIZATIONS = ("int8",)
OPSET = 20
PAGE = 4096  # bytes: where a tensor begins, so that it can be mapped into memory
LEAST_STORED = 1024  # bytes: smaller tensors stay in the graph, as engines must know shapes when they open it


def onnx_problem(config: Config) -> str | None:
    """Why a model cannot become graphs; None where it can."""
    if config.media.kind != "text":
        return f"its encoder must read texts, and media.kind={config.media.kind} is another"
    return None


def write_onnx(loaded: LoadedModel, directory: Path, quantization: str | None) -> None:
    """Writes the graphs and their weights into a directory that is there.

    Args:
        quantization: "int8" for matrices of 8 bits, with a scale for each output.

    Raises MissingPackage.
    """
    try:
        import onnx_ir
        import onnxscript  # noqa: F401  (torch.onnx asks for it in its own words)
        from onnxruntime import quantization as quantizer
    except ImportError as error:
        raise MissingPackage(error.name or "onnx", "onnx") from None
    with open(directory / WEIGHTS, "wb") as file:
        weights = _Weights(onnx_ir, file)
        for name, graph in _graphs(loaded).items():
            made = _exported(graph)
            _turn_weights(onnx_ir, made, also_shared=quantization is not None)
            if quantization is not None:
                made = _quantized(onnx_ir, quantizer, made, directory)
            weights.take(made)
            onnx_ir.save(made, directory / name)


def _graphs(loaded: LoadedModel) -> dict[str, Any]:
    model = loaded.model
    found: dict[str, Any] = {}
    if model.encoder:
        found[ENCODER] = EncoderGraph(model, loaded.config.task)
    if model.decoder:
        found |= {DECODER: DecoderGraph(model), DECODER_WITH_CACHE: CachedDecoderGraph(model)}
    return found


def _exported(graph: Any) -> Any:
    """The graph as a model of onnx_ir, without what the exporter tells of the code that it came from."""
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    signature: Signature = graph.signature()
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph.eval(),
            kwargs=signature.inputs,
            dynamic_shapes=signature.dimensions,
            input_names=signature.input_names,
            output_names=signature.output_names,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model
    ClearMetadataAndDocStringPass()(model)
    model.graph.name = "headway"
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of packages that nobody needs here."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _turn_weights(onnx_ir: Any, model: Any, *, also_shared: bool) -> None:
    """Stores each matrix as its product wants it, in place of a node that turns it at every start.

    One that is also looked up in, a tied embedding, would stand in the file twice: it is turned only where `also_shared`, as
    only what stands directly before a product is quantised.
    """
    graph = model.graph
    for node in list(graph):
        value = node.inputs[0] if node.op_type == "Transpose" else None
        if value is None or value.const_value is None:
            continue
        if not also_shared and any(user.op_type != "Transpose" for user, _ in value.uses()):
            continue
        turned = value.const_value.numpy().transpose(node.attributes["perm"].as_ints())
        made = onnx_ir.val(f"{value.name}.turned", const_value=onnx_ir.tensor(turned.copy(), name=f"{value.name}.turned"))
        if made.name not in graph.initializers:
            graph.register_initializer(made)
        node.outputs[0].replace_all_uses_with(graph.initializers[made.name])
        graph.remove(node, safe=True)
        if not value.uses():
            del graph.initializers[value.name]


def _quantized(onnx_ir: Any, quantizer: Any, model: Any, directory: Path) -> Any:
    """Products with 8-bit weights, whose inputs become 8 bits on the way; all else, also tables, stays as it is."""
    aside = directory / ASIDE
    aside.mkdir()
    try:
        whole, small = aside / "whole.onnx", aside / "small.onnx"
        model.metadata_props["onnx.quant.pre_process"] = "onnxruntime.quant"  # or it would ask for what has been done
        onnx_ir.save(model, whole, external_data="whole.bin")
        products = ["MatMul", "Gemm"]
        quantizer.quantize_dynamic(whole, small, products, per_channel=True, use_external_data_format=True)
        made = onnx_ir.load(small)
        onnx_ir.external_data.load_to_model(made)
        return made
    finally:
        shutil.rmtree(aside)


class _Weights:
    """The file of the weights: each tensor once, however many graphs have it."""

    def __init__(self, onnx_ir: Any, file: BinaryIO) -> None:
        self.onnx_ir, self.file = onnx_ir, file
        self.places: dict[bytes, int] = {}

    def take(self, model: Any) -> None:
        """Moves the large tensors of a graph here."""
        for value in model.graph.initializers.values():
            tensor = value.const_value
            if tensor.nbytes < LEAST_STORED:
                continue
            content = tensor.tobytes()
            value.const_value = self.onnx_ir.ExternalTensor(
                WEIGHTS, self._place(content), len(content), tensor.dtype, shape=tensor.shape, name=value.name,
                base_dir=Path(self.file.name).parent,
            )  # fmt: skip

    def _place(self, content: bytes) -> int:
        digest = hashlib.sha256(content).digest()
        if digest not in self.places:
            self.file.write(bytes(-self.file.tell() % PAGE))
            self.places[digest] = self.file.tell()
            self.file.write(content)
        return self.places[digest]
