"""The host side of a call: what an adapter must offer, jobs, and the dispatcher."""
