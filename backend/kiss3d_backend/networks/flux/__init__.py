"""FLUX.1: the transformer that draws bundles, with its text encoders, autoencoder, LoRAs, ControlNet and Redux.

Modules are those of diffusers and transformers; the converter, the layers that keep float8 weights and the sampling
loop are our own. Paper: https://arxiv.org/abs/2403.03206 (rectified flow transformers); the weights' page is
https://huggingface.co/black-forest-labs/FLUX.1-dev.
"""
