"""What torch can do on this machine, found by trying: ``python -m kiss3d_backend.torch_trial`` prints it as JSON.

It imports torch, starts CUDA and compiles a kernel, so it runs in a process of its own
(:func:`kiss3d_backend.devices.torch_answer.ask_torch`).
"""
