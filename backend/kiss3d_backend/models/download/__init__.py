"""Getting files from the hub: resumable across processes, checked before they get their names.

huggingface_hub builds the addresses, finds the token, asks for a file's description and reads the hub's errors. The
body is read here, because huggingface_hub starts from zero in a new process.
"""
