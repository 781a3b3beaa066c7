"""Settings: the options that say how a model is run and how its tokens are chosen.

`option.py` is what an option is, `values.py` what the text of one may mean, `engine.py` and
`sampling.py` are the tables. Flags on the command line and `/set` in a chat come from these tables,
so that one option has one name, one range, and one message when it is out of it.
"""
