"""Other libraries' networks: whether making one tunable gives the network that the sums define.

Of every network the source is compared with an independent reference: a deep copy whose parameters are
set to base + sum over j of omega_j delta_j by this package itself, from the tunable network's ``state_dict``.
"""
