"""Where the instances of a service are, and which of them a call goes to."""
