"""
All that is used of Hydra and OmegaConf without being documented by them, in one place and nowhere else.

A module each for what lies at the same distance from users: `nodes` (OmegaConf), `loading` (Hydra's loader), `running`
(Hydra's application), `sweeps` (its basic sweeper and launcher), none of which imports more than its subject needs.
`versions` says which releases these names were tried with, and imports neither library. Above each name stands what it
is for and, after "Instead:", what would be used if it were offered. What differs between releases is settled here;
`tests/config/test_private.py` reads all our sources and holds the line.
"""
