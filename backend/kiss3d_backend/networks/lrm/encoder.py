"""The image encoder: DINO's vision transformer (arXiv 2104.14294), told by adaptive layer norms where the camera is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from kiss3d_backend.networks.lrm.attention import attend
from kiss3d_backend.networks.lrm.pieces import in_pieces, pieces, read_in_pieces
from kiss3d_backend.networks.lrm.shape import LrmShape

CAMERA_NUMBERS = 16

_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
_EPSILON = 1e-12


class ImageEncoder(nn.Module):
    """Pictures and cameras to tokens. The names of the parameters are the published ones."""

    def __init__(self, shape: LrmShape) -> None:
        super().__init__()
        self.model = VisionTransformer(shape)
        self.camera_embedder = nn.Sequential(
            nn.Linear(CAMERA_NUMBERS, shape.image_width), nn.SiLU(), nn.Linear(shape.image_width, shape.image_width)
        )

    def forward(self, images: Tensor, cameras: Tensor, step: Callable[[], None]) -> Tensor:
        """``images``: (N, 3, H, W) in [0, 1], sides multiples of the patch. ``cameras``: (N, 16).

        Returns (N, 1 + patches, image_width): the class token, then the patches row by row. ``step`` is called after
        each piece of a layer of each picture, :meth:`steps` times.
        """
        dtype = self.model.layernorm.weight.dtype
        mean, deviation = (images.new_tensor(each)[:, None, None] for each in (_MEAN, _DEVIATION))
        normalised = ((images - mean) / deviation).to(dtype)
        conditions = self.camera_embedder(cameras.to(dtype))
        pairs = zip(normalised.split(1), conditions.split(1), strict=True)
        return torch.cat([self.model(image, condition, step) for image, condition in pairs])

    def tokens(self, height: int, width: int) -> int:
        """Of a picture of so many pixels."""
        patch = self.model.embeddings.patch_embeddings.projection.stride
        return 1 + (height // patch[0]) * (width // patch[1])

    def steps(self, pictures: int, height: int, width: int) -> int:
        """How often :meth:`forward` calls ``step`` for so many pictures of so many pixels."""
        return pictures * len(self.model.encoder.layer) * 3 * pieces(self.tokens(height, width))


class VisionTransformer(nn.Module):
    def __init__(self, shape: LrmShape) -> None:
        super().__init__()
        self.embeddings = Embeddings(shape)
        self.encoder = Layers(shape)
        self.layernorm = nn.LayerNorm(shape.image_width, eps=_EPSILON)

    def forward(self, images: Tensor, condition: Tensor, step: Callable[[], None]) -> Tensor:
        tokens = self.embeddings(images)
        for layer in self.encoder.layer:
            tokens = layer(tokens, condition, step)
        return self.layernorm(tokens)


class Layers(nn.Module):
    def __init__(self, shape: LrmShape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(shape) for _ in range(shape.image_layers))


class Embeddings(nn.Module):
    """Patches of pixels, the class token, and where each is."""

    def __init__(self, shape: LrmShape) -> None:
        super().__init__()
        width = shape.image_width
        self.positions = shape.image_positions
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.position_embeddings = nn.Parameter(torch.randn(1, shape.image_positions**2 + 1, width) * 0.02)
        self.patch_embeddings = Patches(shape)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch_embeddings.projection(images)
        rows, columns = patches.shape[-2:]
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        return tokens + self.positions_for(rows, columns)

    def positions_for(self, rows: int, columns: int) -> Tensor:
        """(1, 1 + rows * columns, width): the stored square of embeddings, resampled.

        Bicubic, by factors that are computed with .1 added to the target (as DINO does it, against rounding); the
        factors, and not the sizes, say where the samples lie.
        """
        if rows == columns == self.positions:
            return self.position_embeddings
        stored = self.position_embeddings[:, 1:].transpose(1, 2).unflatten(2, (self.positions, self.positions))
        factors = ((rows + 0.1) / self.positions, (columns + 0.1) / self.positions)
        resampled = functional.interpolate(stored.float(), scale_factor=factors, mode="bicubic", align_corners=False)
        patches = resampled.to(stored.dtype).flatten(2).transpose(1, 2)
        return torch.cat([self.position_embeddings[:, :1], patches], dim=1)


class Patches(nn.Module):
    def __init__(self, shape: LrmShape) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, shape.image_width, kernel_size=shape.patch, stride=shape.patch)


class Layer(nn.Module):
    """Attention and perceptron, each after a layer norm that the camera shifts and scales."""

    def __init__(self, shape: LrmShape) -> None:
        super().__init__()
        width = shape.image_width
        self.attention = Attention(width, shape.image_heads)
        self.intermediate = Dense(width, shape.image_mlp)
        self.output = Dense(shape.image_mlp, width)
        self.layernorm_before = nn.LayerNorm(width, eps=_EPSILON)
        self.layernorm_after = nn.LayerNorm(width, eps=_EPSILON)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 4 * width))

    def forward(self, tokens: Tensor, condition: Tensor, step: Callable[[], None]) -> Tensor:
        shift, scale, mlp_shift, mlp_scale = self.adaLN_modulation(condition)[:, None].chunk(4, dim=-1)

        def before(part: Tensor) -> Tensor:
            return self.layernorm_before(part) * (1 + scale) + shift

        def perceptron(part: Tensor) -> Tensor:
            hidden = self.layernorm_after(part) * (1 + mlp_scale) + mlp_shift
            return self.output.dense(functional.gelu(self.intermediate.dense(hidden)))

        key, value = read_in_pieces(tokens, lambda part: self.attention.read(before(part)), step)
        tokens = in_pieces(tokens, lambda part: part + self.attention(before(part), key, value), step)
        return in_pieces(tokens, lambda part: part + perceptron(part), step)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention = Projections(width)
        self.output = Dense(width, width)

    def read(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (N, L, width) of tokens (N, L, width)."""
        return self.attention.key(tokens), self.attention.value(tokens)

    def forward(self, tokens: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What tokens (N, P, width) see in keys and values."""
        return self.output.dense(attend(self.attention.query(tokens), key, value, self.heads))


class Projections(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)


class Dense(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, outputs)
