"""Central sampling, the server's side of X-Ray's protocol: rules for all processes, and a reservoir that they share.

rules       what they say, Default included, and where they are kept
quota       a reservoir split among the clients that asked for it
reservoirs  who asked lately, and what is lent to whom
statistics  what clients counted, in windows of 10 s, in the store
boost       a higher rate for a minute when anomalies rise
targets     all of it together: one report in, one target out
"""
