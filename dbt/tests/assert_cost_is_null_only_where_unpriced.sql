-- A response has a cost exactly when its model has a price, never a negative one; nothing else has tokens or a cost.
select
    message_key,
    message_kind,
    model,
    cost_usd
from {{ ref('fct_messages') }}
where
    cost_usd < 0
    or (message_kind in ('response', 'advisor') and is_priced <> (cost_usd is not null))
    or (role = 'user' and (cost_usd is not null or input_tokens is not null))
