sum(cache_read_tokens) / nullif(
    sum(input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens),
    0
)::double
