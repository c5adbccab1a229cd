"""A model made ready to answer: its weights converted and laid out for the machine's kernels once, not at every step.

    fp32  float32 throughout
    bf16  weights and activations in bfloat16
    int8  weights in 8 bits with a scale per output, inputs of a product in 8 bits with a scale per row, sums in 32-bit
          integers (Jacob et al. 2018, symmetric; what CTranslate2 calls int8); attention in bfloat16 where the CPU has
          instructions for it, the rest in float32

What a row gives does not depend on the rows beside it, to the last bit where oneDNN computes attention in bfloat16: scales
belong to rows, integer sums are exact, and oneDNN's kernels add up a row in the same order however many there are. MKL's
float32 kernels, which serve attention elsewhere, do not: there scores differ by some 1e-6, and by more where a rounding to
8 bits falls the other way.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from headway.config import ModelConfig
from headway.errors import UsageError
from headway.model.layers import Attention, LayerNorm, Linear, RMSNorm
from headway.model.transformer import Transformer
from headway.training.parallel import bf16_cpu_flags

InferencePrecision = Literal["fp32", "bf16", "int8"]
Int8Kernel = Literal["fbgemm", "onednn", "plain"]
BF16_FROM_WIDTH = 256  # narrower models lose more on the way into bf16 and out of it than their products gain
PACKED_FOR_ROWS = 64  # a hint to oneDNN; other numbers of rows run as fast


def choose_inference_precision(
    setting: Literal["auto", "fp32", "bf16", "int8"], device: torch.device, model: ModelConfig
) -> InferencePrecision:
    """`auto`: bf16 where device and width make it faster, else fp32; by rule, so that a machine always answers the same.

    Raises UsageError for int8 on a device other than a CPU.
    """
    if setting == "int8" and device.type != "cpu":
        raise UsageError("int8 is for CPUs", where="decoding.precision", remedy="set decoding.precision=bf16 on a GPU")
    if setting != "auto":
        return setting
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if model.width >= BF16_FROM_WIDTH and bf16_cpu_flags() else "fp32"


def prepare(model: Transformer, precision: InferencePrecision) -> Transformer:
    """Lays out the weights of all products; the model can answer from then on, but not learn or be saved.

    One that another engine runs stays as it is.
    """
    if not isinstance(model, Transformer):
        return model
    model.eval().requires_grad_(False)
    head = model.output_weight if model.decoder else None
    for attention in [module for module in model.modules() if isinstance(module, Attention)]:
        query, key_value = attention.query, attention.key_value
        assert isinstance(query, Linear)
        assert isinstance(key_value, Linear)
        attention.joined = laid_out(*_joined(query, key_value), precision, to_attention=True)
        attention.query = laid_out(query.weight, query.bias, precision, to_attention=True)
        attention.key_value = laid_out(key_value.weight, key_value.bias, precision, to_attention=True)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Linear):
                setattr(module, name, laid_out(child.weight, child.bias, precision))
            elif isinstance(child, LayerNorm | RMSNorm) and precision == "bf16":
                child.to(torch.bfloat16)
    if head is not None:
        model.output = laid_out(head, None, precision)
    model.compute_dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return model


def _joined(first: nn.Linear, second: nn.Linear) -> tuple[Tensor, Tensor | None]:
    bias = torch.cat((first.bias, second.bias)) if first.bias is not None else None
    return torch.cat((first.weight, second.weight)), bias


def laid_out(weight_ND: Tensor, bias_N: Tensor | None, precision: InferencePrecision, *, to_attention: bool = False) -> nn.Module:
    """x Wᵀ + b in the fastest form that this device and this build of torch have for the precision."""
    on_cpu = weight_ND.device.type == "cpu" and torch.backends.mkldnn.is_available()
    if precision == "int8":
        in_bf16 = to_attention and on_cpu and has_bf16_kernels()
        return Int8Linear(weight_ND, bias_N, torch.bfloat16 if in_bf16 else torch.float32, choose_int8_kernel())
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    if on_cpu and (dtype == torch.float32 or has_bf16_kernels()):
        return PackedLinear(weight_ND.to(dtype), bias_N.to(dtype) if bias_N is not None else None)
    linear = Linear(1, 1, bias=bias_N is not None)
    linear.weight = nn.Parameter(weight_ND.to(dtype), requires_grad=False)
    if bias_N is not None:
        linear.bias = nn.Parameter(bias_N.to(dtype), requires_grad=False)
    return linear


def has_bf16_kernels() -> bool:
    """Whether oneDNN multiplies in bf16 on this CPU."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class PackedLinear(nn.Module):
    """The weight in the layout of oneDNN's kernels: 1.2 times as fast for 320 rows and 2 to 5 times for a few."""

    def __init__(self, weight_ND: Tensor, bias_N: Tensor | None) -> None:
        super().__init__()
        self.packed: Any = torch.ops.mkldnn._reorder_linear_weight(weight_ND.contiguous(), PACKED_FOR_ROWS)
        self.bias = bias_N

    def forward(self, x: Tensor) -> Tensor:
        if x.numel() == x.shape[-1]:  # for one row oneDNN has another kernel, which adds up in another order
            return self.forward(torch.cat((x, x)))[:1]
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return y


class Int8Linear(nn.Module):
    """x Wᵀ + b ≈ sₓ s_w ⊙ (round(x / sₓ) round(W / s_w)ᵀ) + b, with sₓ = max |x| / 127 of each row and s_w of each output."""

    def __init__(self, weight_ND: Tensor, bias_N: Tensor | None, dtype: torch.dtype, kernel: Int8Kernel) -> None:
        super().__init__()
        scale_N = weight_ND.abs().amax(1).clamp(min=1e-30) / 127
        rounded_ND = (weight_ND / scale_N[:, None]).round().to(torch.int8)
        self.bias, self.dtype = bias_N, dtype
        self.product = INT8_PRODUCTS[kernel](rounded_ND, scale_N)

    def forward(self, x: Tensor) -> Tensor:
        rows_RD = x.flatten(0, -2).float()
        largest_R1 = rows_RD.abs().amax(1, keepdim=True)
        y_RN = self.product(rows_RD / largest_R1)  # of a row of zeros anything: it is multiplied by 0
        y_RN = y_RN.mul_(largest_R1) if self.bias is None else torch.addcmul(self.bias, y_RN, largest_R1)
        return y_RN.view(*x.shape[:-1], -1).to(self.dtype)


def choose_int8_kernel() -> Int8Kernel:
    """oneDNN's where AMX multiplies bytes; else FBGEMM's, which take a third of its time to start; else torch's plain one.

    Without VNNI, FBGEMM adds up pairs of products in 16 bits, which overflow.
    """
    if torch.backends.mkldnn.is_available() and torch.cpu._is_amx_tile_supported():
        return "onednn"
    known = "fbgemm" in torch.backends.quantized.supported_engines and hasattr(torch, "_make_per_channel_quantized_tensor")
    return "fbgemm" if known and torch.cpu._is_vnni_supported() else "plain"


Int8Product = Callable[[Tensor], Tensor]  # rows within ±1, float32 → their products with the weights, float32


def _fbgemm_product(rounded_ND: Tensor, scale_N: Tensor) -> Int8Product:
    zeros_N = torch.zeros(len(scale_N), dtype=torch.long)
    engines = torch.backends.quantized
    engine, engines.engine = engines.engine, "fbgemm"
    with warnings.catch_warnings():  # torch will drop this type one day; then the other kernels are left
        warnings.filterwarnings("ignore", message=".*quantize_per_tensor", category=UserWarning)
        weight = torch._make_per_channel_quantized_tensor(rounded_ND, scale_N, zeros_N, 0)
        packed = torch.ops.quantized.linear_prepack(weight, None)
    engines.engine = engine
    product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
    return lambda rows_RD: product(rows_RD, 1 / 127, 128, packed)


def _onednn_product(rounded_ND: Tensor, scale_N: Tensor) -> Int8Product:
    packed = torch.ops.onednn.qlinear_prepack(rounded_ND, None)
    # Scaled here: within the product it rounds in another way for one row (AMX), and whole numbers are the same for all.
    ones_N, zeros_N, scale_N = torch.ones_like(scale_N), torch.zeros_like(scale_N, dtype=torch.int32), scale_N / 127

    def multiply(rows_RD: Tensor) -> Tensor:  # it wants bytes without sign: 128 more, which it takes off again
        shifted_RD = _to_bytes(rows_RD).view(torch.uint8).bitwise_xor_(128)
        y_RN: Tensor = torch.ops.onednn.qlinear_pointwise(
            shifted_RD, 1.0, 128, packed, ones_N, zeros_N, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return y_RN.mul_(scale_N)

    return multiply


def _plain_product(rounded_ND: Tensor, scale_N: Tensor) -> Int8Product:
    rounded_DN, scale_N = rounded_ND.t(), scale_N / 127
    return lambda rows_RD: torch._int_mm(_to_bytes(rows_RD), rounded_DN) * scale_N


def _to_bytes(rows_RD: Tensor) -> Tensor:
    return (rows_RD * 127).round_().to(torch.int8)


INT8_PRODUCTS: dict[Int8Kernel, Callable[[Tensor, Tensor], Int8Product]] = {
    "fbgemm": _fbgemm_product,
    "onednn": _onednn_product,
    "plain": _plain_product,
}
