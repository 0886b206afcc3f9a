"""
All that is used of Hydra and OmegaConf without being documented by them, in one place and nowhere else.

`nodes` (OmegaConf), `loading` (Hydra's loader), `running` (its application), `sweeps` (its basic sweeper and launcher)
and `targets` (what it makes objects of) import no more than their subject needs. `versions` says which releases were
tested, and imports neither library. Above each name stands what it is for and, after "Instead:", what would be used if
it were offered. What differs between releases is settled here;
`tests/config/test_private.py` reads all our sources and holds the line.
"""
