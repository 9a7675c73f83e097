with

states as (

    select * from {{ ref('int_cost_states') }}

),

sessions as (

    select * from {{ ref('dim_sessions') }}

),

messages as (

    select * from {{ ref('fct_messages') }}
    where
        message_kind in ('response', 'advisor')
        and session_id in (select session_id from {{ ref('int_cost_states') }})

),

ours as (

    select
        states.session_id,
        {{ response_measures() }},
        count(*) filter (where messages.created_at > states.stated_at) as later_response_count
    from states
    left join messages
        on states.session_id = messages.session_id
    group by states.session_id

),

prices as (

    select distinct
        model,
        canonical_model
    from {{ ref('int_model_prices') }}

),

-- What Claude Code paid for and wrote no line of.
their_models as (

    select
        session_id,
        unnest(claude_code_models) as stated
    from states

),

missing as (

    select
        their_models.session_id,
        string_agg(their_models.stated.model, ', ' order by their_models.stated.model) as missing_models,
        sum({{ rounded('their_models.stated.cost_usd', 9) }}) as missing_usd
    from their_models
    where
        coalesce(their_models.stated.cost_usd, 0) > 0
        and not exists (
            select 1
            from messages
            left join prices
                on messages.model = prices.model
            where
                messages.session_id = their_models.session_id
                and (
                    messages.model = their_models.stated.model
                    or starts_with(messages.model, their_models.stated.model)
                    or starts_with(their_models.stated.model, messages.model)
                    or starts_with(their_models.stated.model, prices.canonical_model)
                )
        )
    group by their_models.session_id

),

compared as (

    select
        states.session_id,
        sessions.project_id,
        states.stated_at,
        ours.cost_usd as our_cost_usd,
        {{ rounded('states.claude_code_cost_usd', 9) }} as claude_code_cost_usd,
        {{ rounded('states.claude_code_cost_usd', 9) }} - ours.cost_usd as difference_usd,
        missing.missing_models,
        coalesce(missing.missing_usd, 0) as missing_usd,
        ours.response_count,
        ours.unpriced_response_count,
        ours.lower_bound_response_count,
        ours.later_response_count,
        sessions.is_resumed or sessions.is_forked as is_carried_on
    from states
    inner join sessions
        on states.session_id = sessions.session_id
    inner join ours
        on states.session_id = ours.session_id
    left join missing
        on states.session_id = missing.session_id

),

judged as (

    select
        *,
        coalesce(abs(difference_usd) <= 0.01 * claude_code_cost_usd, false) as is_within_1_percent
    from compared

),

final as (

    select
        session_id,
        project_id,
        stated_at,
        our_cost_usd,
        claude_code_cost_usd,
        difference_usd,
        is_within_1_percent,
        case
            when is_within_1_percent then null
            when unpriced_response_count > 0 then unpriced_response_count || ' of ' || response_count || ' responses have no price'
            when missing_models is not null then 'requests that stand in no line: ' || missing_models
            when later_response_count > 0 then later_response_count || ' responses came after Claude Code wrote its sum'
            when difference_usd > 0 and lower_bound_response_count > 0
                then lower_bound_response_count || ' responses never got their final output count'
            when is_carried_on then 'the session carries on another one'
        end as known_cause
    from judged

)

select * from final
