"""Room for Hydra plugins of ours (launchers), which Hydra finds only below `hydra_plugins`."""
