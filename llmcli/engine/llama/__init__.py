"""The engine on llama.cpp, through the low-level C API of llama-cpp-python.

The only folder that imports llama_cpp. llama.cpp answers some calls by ending the process; every one of them
is guarded here, so that above this folder there are only exceptions.
"""
