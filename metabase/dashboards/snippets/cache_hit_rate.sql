sum(cache_read_tokens) / nullif(sum(context_tokens), 0)::double
