"""Ids to logits, and logits to the next id: the model's stretch of the road.

Here stand what an engine is (`protocol.py`) and what is the same for every engine (`plan.py`, `reuse.py`,
`interrupt.py`); `llama/` is the engine on llama.cpp, the only folder that imports llama_cpp.
"""
