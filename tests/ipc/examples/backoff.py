"""How long to wait before each new attempt."""

from dcc_mcp_embed.ipc.utils import BackoffStrategy

backoff = BackoffStrategy(
    initial_delay=0.5,
    max_delay=15.0,
    multiplier=1.5,
)

delays = [backoff.get_delay() for _ in range(12)]
print(delays[0], delays[1], delays[-1])

# It worked: the next time begins with the shortest.
backoff.reset()
print(backoff.get_delay())
