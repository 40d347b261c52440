"""The grounding network: text encoder, aggregator, image encoder, source-target attention."""
