VERSION = "2.15.0"  # of the API that is followed
