"""See the package."""

from __future__ import annotations

import contextlib
import sys
import warnings

from kiss3d_backend.devices.torch_answer import answer_to_json
from kiss3d_backend.torch_trial.answer import torch_answer


def main() -> None:
    # What libraries print while they are tried is no part of the answer.
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = torch_answer()
    print(answer_to_json(answer))


if __name__ == "__main__":
    main()
