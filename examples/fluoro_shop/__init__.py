"""A little tea shop of ordinary services, and `fluoro demo`, which runs it and shows it on the service map.

Nothing in the services imports fluoro: see README.md for what each process is.
"""
