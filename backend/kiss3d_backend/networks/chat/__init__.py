"""Any small chat model that transformers has classes for, run on this machine."""
