"""The synthetic market: seeded fundamentals and the agents that trade round them."""
