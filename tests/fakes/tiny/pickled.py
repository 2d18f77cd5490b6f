"""Checkpoints as training code pickles them, made without the packages whose classes they name."""

from __future__ import annotations

import sys
import types
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

FOREIGN = {
    "omegaconf.dictconfig": ["DictConfig"],
    "omegaconf.listconfig": ["ListConfig"],
    "omegaconf.base": ["ContainerMetadata", "Metadata"],
    "omegaconf.nodes": ["AnyNode"],
    "pytorch_lightning.callbacks.model_checkpoint": ["ModelCheckpoint"],
}
"""Classes that a Lightning checkpoint of a run with OmegaConf settings names."""


class _Foreign:
    """An object with attributes, as those classes pickle themselves."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__ |= attributes


@contextmanager
def foreign_classes() -> Iterator[types.SimpleNamespace]:
    """Stand-ins by those names while a file is written; afterwards nothing of them can be imported."""
    made: dict[str, type] = {}
    names = {".".join(module.split(".")[:depth]) for module in FOREIGN for depth in range(1, module.count(".") + 2)}
    assert not names & set(sys.modules), "the real packages are not expected in the environment of the tests"
    for name in names:
        module = types.ModuleType(name)
        for class_name in FOREIGN.get(name, []):
            made[class_name] = type(class_name, (_Foreign,), {"__module__": name})
            setattr(module, class_name, made[class_name])
        sys.modules[name] = module
    try:
        yield types.SimpleNamespace(**made)
    finally:
        for name in names:
            del sys.modules[name]


def write_lightning(path: Path, model: Mapping[str, torch.Tensor], prefix: str, *, zipped: bool = True) -> None:
    """A PyTorch Lightning checkpoint: the model under ``prefix``, a loss network, optimizer, callbacks, settings."""
    parameters = list(model.values())
    with foreign_classes() as classes:
        metadata = classes.Metadata(ref_type=Any, object_type=dict, optional=True, key=None)
        scheduler = classes.DictConfig(
            _metadata=classes.ContainerMetadata(ref_type=Any, element_type=Any, key_type=Any),
            _parent=None,
            _content={
                "width": classes.AnyNode(_val=8, _metadata=metadata),
                "steps": classes.ListConfig(_content=[classes.AnyNode(_val=1)]),
            },
        )
        checkpoint = {
            "epoch": 3,
            "global_step": 1200,
            "pytorch-lightning_version": "2.1.2",
            "state_dict": {
                **{prefix + name: tensor for name, tensor in model.items()},
                "lpips.net.slice1.0.weight": torch.zeros(8, 3, 3, 3),
            },
            "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
            "callbacks": {
                "ModelCheckpoint": {
                    "best_model_score": torch.tensor(0.5),
                    "best_k_models": defaultdict(int, {"step=1200.ckpt": 1}),
                    "callback": classes.ModelCheckpoint(monitor="val"),
                }
            },
            "optimizer_states": [
                {
                    "state": {
                        number: {
                            "step": torch.tensor(1200.0),
                            "exp_avg": torch.zeros_like(parameter),
                            "exp_avg_sq": torch.ones_like(parameter),
                        }
                        for number, parameter in enumerate(parameters)
                    },
                    "param_groups": [{"lr": 4e-5, "betas": (0.9, 0.95), "params": list(range(len(parameters)))}],
                }
            ],
            "lr_schedulers": [{"T_max": 100, "_last_lr": [4e-5]}],
            "hparams_name": "kwargs",
            "hparams_type": classes.DictConfig,
            "hyper_parameters": scheduler,
        }
        torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)


def write_state_dict(
    path: Path, model: Mapping[str, torch.Tensor], *, wrapped: bool = False, zipped: bool = True
) -> None:
    """A pickled state dict, alone or as ``state_dict`` in a dict."""
    state = dict(model)
    torch.save({"state_dict": state} if wrapped else state, path, _use_new_zipfile_serialization=zipped)
