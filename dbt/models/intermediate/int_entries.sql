{{ config(materialized='working_set') }}

with copies as (

    select * from {{ ref('int_related_entries') }}

),

later_copies as (

    select * from {{ ref('int_later_copies') }}

),

shared_message_ids as (

    select * from {{ ref('int_shared_message_ids') }}

),

final as (

    select
        copies.* exclude (response_key),
        -- an id that every response has is none: the request, else the input side tells them apart
        case
            when shared_message_ids.response_key is null then copies.response_key
            else
                copies.response_key || '/' || coalesce(
                    copies.request_id,
                    {{ surrogate_key([
                        'copies.session_id', 'copies.input_tokens', 'copies.cache_write_5m_tokens',
                        'copies.cache_write_1h_tokens', 'copies.cache_read_tokens'
                    ]) }}
                )
        end as response_key,
        shared_message_ids.response_key is not null as has_shared_message_id,
        later_copies.document_id is null as is_standing
    from copies
    left join later_copies
        on copies.document_id = later_copies.document_id
    left join shared_message_ids
        on copies.response_key = shared_message_ids.response_key

)

select * from final
