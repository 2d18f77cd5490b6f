"""The kernel of Triton's trial. Only where triton is installed can this be imported."""

# Triton reads the annotations as they are, so they are not made strings here.
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]


@triton.jit  # pyright: ignore[reportUntypedFunctionDecorator]
def double(values, found, length, BLOCK: tl.constexpr) -> None:
    """Writes twice each of ``length`` float32 values."""
    index = tl.arange(0, BLOCK)
    inside = index < length
    tl.store(found + index, tl.load(values + index, mask=inside) * 2.0, mask=inside)
